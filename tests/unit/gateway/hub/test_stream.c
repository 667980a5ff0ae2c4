#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/hub/stream.h"

static struct publication event(int64_t seq)
{
    return (struct publication){.seq = seq, .body = bytes_copy(SLICE("{\"type\":\"project.created\"}"))};
}

static void offer(struct stream *stream, int64_t seq, enum stream_outcome expected)
{
    assert_int_equal(stream_offer(stream, event(seq)), expected);
}

static void assert_gap(const struct stream *stream, int64_t from, int64_t to)
{
    int64_t has_from = 0, has_to = 0;
    assert_true(stream_gap(stream, &has_from, &has_to));
    assert_int_equal(has_from, from);
    assert_int_equal(has_to, to);
}

static void assert_no_gap(const struct stream *stream)
{
    int64_t from = 0, to = 0;
    assert_false(stream_gap(stream, &from, &to));
}

static int set_up(void **state)
{
    struct stream *stream = xmalloc(sizeof(*stream));
    stream_init(stream);
    *state = stream;
    return 0;
}

static int tear_down(void **state)
{
    stream_done(*state);
    free(*state);
    return 0;
}

static void test_offer_when_in_order_then_the_stream_advances(void **state)
{
    struct stream *stream = *state;
    stream_begin(stream, 41);
    for (int64_t seq = 42; seq < 142; seq++)
        offer(stream, seq, STREAM_ADVANCED);
    assert_int_equal(stream->last, 141);
    assert_no_gap(stream);
    for (int64_t seq = 42; seq < 142; seq++)
        assert_int_equal(stream_recent(stream, seq)->seq, seq);
    assert_null(stream_recent(stream, 41));
    assert_null(stream_recent(stream, 142));
}

static void test_offer_when_seen_before_then_it_is_dropped(void **state)
{
    struct stream *stream = *state;
    stream_begin(stream, 5);
    offer(stream, 5, STREAM_DUPLICATE);
    offer(stream, 6, STREAM_ADVANCED);
    offer(stream, 6, STREAM_DUPLICATE);
    offer(stream, 9, STREAM_HELD);
    offer(stream, 9, STREAM_DUPLICATE);
    assert_int_equal(stream->last, 6);
}

static void test_offer_when_overtaken_then_held_until_the_gap_is_filled(void **state)
{
    struct stream *stream = *state;
    stream_begin(stream, 0);
    offer(stream, 4, STREAM_HELD);
    offer(stream, 2, STREAM_HELD);
    offer(stream, 5, STREAM_HELD);
    assert_gap(stream, 1, 1);
    offer(stream, 1, STREAM_ADVANCED);
    assert_int_equal(stream->last, 2);
    assert_gap(stream, 3, 3);
    offer(stream, 3, STREAM_ADVANCED);
    assert_int_equal(stream->last, 5);
    assert_no_gap(stream);
    assert_int_equal(stream->held_bytes, 0);
}

static void test_begin_when_events_came_first_then_the_newer_ones_follow(void **state)
{
    struct stream *stream = *state;
    offer(stream, 8, STREAM_HELD);
    offer(stream, 7, STREAM_HELD);
    offer(stream, 10, STREAM_HELD);
    offer(stream, 6, STREAM_HELD);
    assert_no_gap(stream); /* nobody knows yet where it begins */
    stream_begin(stream, 7);
    assert_int_equal(stream->last, 8);
    assert_null(stream_recent(stream, 7));
    assert_non_null(stream_recent(stream, 8));
    assert_gap(stream, 9, 9);
}

static void test_heard_of_when_ahead_then_the_gap_reaches_there(void **state)
{
    struct stream *stream = *state;
    stream_begin(stream, 10);
    stream_heard_of(stream, 13);
    assert_gap(stream, 11, 13);
    stream_heard_of(stream, 12);
    assert_gap(stream, 11, 13);
    offer(stream, 12, STREAM_HELD);
    assert_gap(stream, 11, 11);
}

static void test_offer_when_too_many_are_held_then_dropped_but_remembered(void **state)
{
    struct stream *stream = *state;
    stream_begin(stream, 0);
    for (int64_t seq = 2; seq < 2 + STREAM_HELD_MAX; seq++)
        offer(stream, seq, STREAM_HELD);
    offer(stream, 2 + STREAM_HELD_MAX, STREAM_DROPPED);
    assert_gap(stream, 1, 1);
    offer(stream, 1, STREAM_ADVANCED);
    assert_int_equal(stream->last, 1 + STREAM_HELD_MAX);
    assert_gap(stream, 2 + STREAM_HELD_MAX, 2 + STREAM_HELD_MAX);
}

static void test_offer_when_held_bytes_are_at_their_bound_then_dropped(void **state)
{
    struct stream *stream = *state;
    stream_begin(stream, 0);
    char *space;
    struct publication large = {.seq = 2, .body = bytes_new(STREAM_HELD_BYTES, &space)};
    memset(space, ' ', STREAM_HELD_BYTES);
    assert_int_equal(stream_offer(stream, large), STREAM_DROPPED);
    assert_gap(stream, 1, 2);
}

static void test_trim_when_over_the_bound_then_the_oldest_go_and_the_kept_stay(void **state)
{
    struct stream *stream = *state;
    stream_begin(stream, 0);
    for (int64_t seq = 1; seq <= 100; seq++)
        offer(stream, seq, STREAM_ADVANCED);
    stream_trim(stream, stream->recent_bytes / 2, INT64_MAX);
    assert_null(stream_recent(stream, 50));
    assert_non_null(stream_recent(stream, 51));
    assert_true(stream_covers(stream, 50));
    assert_false(stream_covers(stream, 49));
    stream_trim(stream, 0, 90);
    assert_null(stream_recent(stream, 90));
    assert_non_null(stream_recent(stream, 91));
    stream_trim(stream, 0, INT64_MAX);
    assert_int_equal(stream->recent_bytes, 0);
    assert_true(stream_covers(stream, 100));
    assert_false(stream_covers(stream, 99));
    offer(stream, 101, STREAM_ADVANCED);
    assert_int_equal(stream_recent(stream, 101)->seq, 101);
}

/* Any order of arrival, with repeats, gives the same stream. */
static void test_offer_when_shuffled_then_each_comes_once_in_order(void **state)
{
    (void)state;
    enum { EVENTS = 200 };
    uint32_t random = 12345;
    for (int round = 0; round < 50; round++) {
        struct stream stream;
        stream_init(&stream);
        int64_t order[EVENTS];
        for (int i = 0; i < EVENTS; i++)
            order[i] = i + 1;
        for (int i = EVENTS - 1; i > 0; i--) {
            random = random * 1664525 + 1013904223;
            int j = (int)(random >> 8) % (i + 1);
            int64_t other = order[i];
            order[i] = order[j];
            order[j] = other;
        }
        stream_begin(&stream, 0);
        for (int i = 0; i < EVENTS; i++) {
            (void)stream_offer(&stream, event(order[i]));
            (void)stream_offer(&stream, event(order[i / 2]));
        }
        assert_int_equal(stream.last, EVENTS);
        assert_no_gap(&stream);
        for (int64_t seq = 1; seq <= EVENTS; seq++)
            assert_int_equal(stream_recent(&stream, seq)->seq, seq);
        stream_done(&stream);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_offer_when_in_order_then_the_stream_advances, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_offer_when_seen_before_then_it_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_offer_when_overtaken_then_held_until_the_gap_is_filled, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_begin_when_events_came_first_then_the_newer_ones_follow, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_heard_of_when_ahead_then_the_gap_reaches_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_offer_when_too_many_are_held_then_dropped_but_remembered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_offer_when_held_bytes_are_at_their_bound_then_dropped, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_trim_when_over_the_bound_then_the_oldest_go_and_the_kept_stay,
                                        set_up, tear_down),
        cmocka_unit_test(test_offer_when_shuffled_then_each_comes_once_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
