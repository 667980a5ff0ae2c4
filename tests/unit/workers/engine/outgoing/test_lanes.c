/* Which act begins next: lanes in turn, no more of a lane, of a company and of all than there may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "workers/engine/outgoing/lanes.h"

enum { ACTS_MAX = 256 };

/* Keeps what has begun, in its order. */
struct outgoing_sender {
    struct outgoing_act *begun[ACTS_MAX];
    size_t count;
};

static void begin(struct outgoing_sender *sender, struct outgoing_act *act)
{
    sender->begun[sender->count++] = act;
}

static const struct outgoing_kind kind = {.pool = "test", .act_max_s = 1, .begin = begin};

static void on_ended(void *ctx)
{
    ++*(size_t *)ctx;
}

struct stage {
    struct lanes lanes;
    struct outgoing_sender sender;
    size_t ended;
    uint8_t ids;
};

static int set_up(void **state)
{
    struct stage *s = test_calloc(1, sizeof(*s));
    lanes_init(&s->lanes);
    s->lanes.kind = &kind;
    s->lanes.sender = &s->sender;
    s->lanes.max = 100;
    s->lanes.share_max = 50;
    s->lanes.on_ended = on_ended;
    s->lanes.ctx = &s->ended;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *s = *state;
    lanes_done(&s->lanes);
    test_free(s);
    return 0;
}

static struct uuid uuid_number(uint8_t a, uint8_t b)
{
    return (struct uuid){{a, b}};
}

static struct lane *take(struct stage *s, uint8_t company, uint8_t id, int64_t concurrency)
{
    struct uuid of = uuid_number(1, company), own = uuid_number(2, id);
    struct lane *lane = lanes_take(&s->lanes, &of, &own, 1, clock_monotonic_s() + 60);
    assert_non_null(lane);
    lane->concurrency = concurrency;
    return lane;
}

static void queue(struct stage *s, struct lane *lane, size_t count)
{
    struct slice columns[OUTGOING_COLUMNS_MAX] = {SLICE("first"), SLICE_NONE, SLICE("third")};
    for (size_t i = 0; i < count; i++) {
        struct uuid id = uuid_number(3, s->ids++);
        lanes_queue(&s->lanes, lane, &id, columns);
    }
}

static void end(struct stage *s, size_t place, bool is_success)
{
    const struct outgoing_outcome outcome = {.is_success = is_success, .again_s = -1, .detail = SLICE("{}")};
    outgoing_done(s->sender.begun[place], &outcome);
}

static size_t begun_of(const struct stage *s, const struct lane *lane)
{
    size_t count = 0;
    for (size_t i = 0; i < s->sender.count; i++)
        count += uuid_equal(&s->sender.begun[i]->lane, &lane->node.key);
    return count;
}

static void test_acts_when_two_lanes_have_some_then_they_take_turns(void **state)
{
    struct stage *s = *state;
    struct lane *a = take(s, 1, 1, 8), *b = take(s, 2, 2, 8);
    queue(s, a, 4);
    queue(s, b, 4);
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 8);
    for (size_t i = 0; i < 8; i++)
        assert_true(uuid_equal(&s->sender.begun[i]->lane, i % 2 ? &b->node.key : &a->node.key));
    assert_true(slice_is(s->sender.begun[0]->columns[0], "first"));
    assert_null(s->sender.begun[0]->columns[1].data);
    assert_true(slice_is(s->sender.begun[0]->columns[2], "third"));
}

static void test_lane_when_as_many_are_under_way_as_may_be_then_the_next_begins_when_one_ends(void **state)
{
    struct stage *s = *state;
    struct lane *lane = take(s, 1, 1, 2);
    queue(s, lane, 4);
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 2);
    end(s, 0, true);
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 3);
    assert_int_equal(s->ended, 1);
}

static void test_lane_when_five_have_failed_then_one_is_under_way_until_one_succeeds(void **state)
{
    struct stage *s = *state;
    struct lane *lane = take(s, 1, 1, 5);
    queue(s, lane, 20);
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 5);
    for (size_t i = 0; i < 5; i++)
        end(s, i, false);
    for (size_t i = 5; i < 8; i++) {
        lanes_begin(&s->lanes);
        assert_int_equal(s->sender.count, i + 1);
        end(s, i, i == 7);
    }
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 13);
}

static void test_company_when_it_has_its_share_then_others_go_on(void **state)
{
    struct stage *s = *state;
    s->lanes.share_max = 3;
    struct lane *a = take(s, 1, 1, 8), *b = take(s, 1, 2, 8), *c = take(s, 2, 3, 8);
    queue(s, a, 4);
    queue(s, b, 4);
    queue(s, c, 3);
    lanes_begin(&s->lanes);
    assert_int_equal(begun_of(s, a) + begun_of(s, b), 3);
    assert_int_equal(begun_of(s, c), 3);
    end(s, 0, true);
    lanes_begin(&s->lanes);
    assert_int_equal(begun_of(s, a) + begun_of(s, b), 4);
}

static void test_acts_when_as_many_are_under_way_as_may_be_then_none_begins(void **state)
{
    struct stage *s = *state;
    s->lanes.max = 3;
    queue(s, take(s, 1, 1, 8), 3);
    queue(s, take(s, 2, 2, 8), 3);
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 3);
}

static void test_lane_when_it_has_a_pace_then_the_next_begins_in_time(void **state)
{
    struct stage *s = *state;
    struct lane *lane = take(s, 1, 1, 8);
    lane->pace_s = 0.05;
    queue(s, lane, 3);
    double from = clock_monotonic_s();
    while (s->sender.count < 3) {
        (void)lanes_pace(&s->lanes);
        lanes_begin(&s->lanes);
        usleep(1000);
    }
    assert_true(clock_monotonic_s() - from >= 0.1);
}

static void test_lane_when_its_lease_ends_before_an_act_would_then_none_begins(void **state)
{
    struct stage *s = *state;
    struct lane *lane = take(s, 1, 1, 8);
    lane->until = clock_monotonic_s() + kind.act_max_s;
    queue(s, lane, 1);
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 0);
    lane->until = clock_monotonic_s() + 60;
    (void)lanes_pace(&s->lanes);
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 1);
}

static void test_lane_when_it_is_lost_then_nothing_begins_and_what_is_under_way_ends_in_peace(void **state)
{
    struct stage *s = *state;
    struct lane *lane = take(s, 1, 1, 1);
    queue(s, lane, 3);
    lanes_begin(&s->lanes);
    struct lane *again;
    struct uuid company = uuid_number(1, 1), id = uuid_number(2, 1);
    again = lanes_take(&s->lanes, &company, &id, 2, clock_monotonic_s() + 60); /* under another lease */
    assert_ptr_not_equal(again, lane);
    assert_true(lane->is_lost);
    assert_int_equal(s->lanes.in_hand, 1);
    end(s, 0, true);
    struct act *act = TAILQ_FIRST(&s->lanes.ended);
    assert_true(act->lane->is_lost);
    TAILQ_REMOVE(&s->lanes.ended, act, link);
    lanes_settle(act);
    assert_int_equal(s->lanes.in_hand, 0);
    assert_ptr_equal(lanes_find(&s->lanes, &id), again);
}

static void test_lane_when_an_outcome_stops_it_then_the_rest_is_dropped(void **state)
{
    struct stage *s = *state;
    struct lane *lane = take(s, 1, 1, 1);
    queue(s, lane, 3);
    lanes_begin(&s->lanes);
    outgoing_done(s->sender.begun[0],
                  &(struct outgoing_outcome){.is_stop = true, .again_s = -1, .detail = SLICE("{}")});
    lanes_begin(&s->lanes);
    assert_int_equal(s->sender.count, 1);
    assert_int_equal(lane->in_hand, 1); /* the outcome */
    assert_int_equal(lane_wants(&s->lanes, lane), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_acts_when_two_lanes_have_some_then_they_take_turns),
        TEST(test_lane_when_as_many_are_under_way_as_may_be_then_the_next_begins_when_one_ends),
        TEST(test_lane_when_five_have_failed_then_one_is_under_way_until_one_succeeds),
        TEST(test_company_when_it_has_its_share_then_others_go_on),
        TEST(test_acts_when_as_many_are_under_way_as_may_be_then_none_begins),
        TEST(test_lane_when_it_has_a_pace_then_the_next_begins_in_time),
        TEST(test_lane_when_its_lease_ends_before_an_act_would_then_none_begins),
        TEST(test_lane_when_it_is_lost_then_nothing_begins_and_what_is_under_way_ends_in_peace),
        TEST(test_lane_when_an_outcome_stops_it_then_the_rest_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
