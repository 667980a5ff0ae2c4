#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "workers/fleet/manager/autoscale.h"

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    RATE = 100, /* commands that a worker of the model does in a second */
};

static const struct autoscale_options usual = {
    .min = 1, .max = 8, .depth = 500, .age_ms = 2000, .hurry_ms = 3 * SECOND, .calm_ms = 5 * MINUTE};

/* A pool that does what it is told at once, looked at every second. */
struct model {
    struct autoscale state;
    struct autoscale_options options;
    struct autoscale_sight sight;
    int64_t now_ms;
    int changes, ups, downs;
    enum autoscale_reason reason; /* of the last change */
};

static struct model model_of(int wanted)
{
    return (struct model){.options = usual, .sight = {.wanted = wanted}, .now_ms = HOUR};
}

static void look(struct model *m)
{
    enum autoscale_reason reason;
    int before = m->sight.wanted;
    int after = autoscale_decide(&m->state, &m->options, &m->sight, m->now_ms, &reason);
    assert_true(after >= m->options.min && after <= m->options.max);
    assert_int_equal(after != before, reason != AUTOSCALE_STAYS);
    m->ups += after > before;
    m->downs += after < before;
    m->changes += after != before;
    m->reason = after != before ? reason : m->reason;
    m->sight.wanted = after;
    m->now_ms += SECOND;
}

/* So much waits, all that time. */
static void see(struct model *m, int64_t waiting, int64_t oldest_ms, int64_t ms)
{
    m->sight.waiting = waiting;
    m->sight.oldest_ms = oldest_ms;
    for (int64_t end = m->now_ms + ms; m->now_ms < end;)
        look(m);
}

/* `arrivals` commands come each second, and what its workers can do is done. */
static void serve(struct model *m, int64_t arrivals, int64_t ms)
{
    for (int64_t end = m->now_ms + ms; m->now_ms < end;) {
        int64_t done = (int64_t)m->sight.wanted * RATE;
        m->sight.waiting += arrivals;
        m->sight.waiting -= m->sight.waiting < done ? m->sight.waiting : done;
        m->sight.oldest_ms = m->sight.waiting * SECOND / done;
        look(m);
    }
}

/* ---- up ---- */

static void test_size_when_much_waits_then_it_grows_within_seconds_and_at_most_twofold(void **state)
{
    (void)state;
    struct model m = model_of(1);
    see(&m, 100000, 0, 3 * SECOND);
    assert_int_equal(m.sight.wanted, 1);
    see(&m, 100000, 0, SECOND);
    assert_int_equal(m.sight.wanted, 2);
    assert_int_equal(m.reason, AUTOSCALE_DEPTH);
    see(&m, 100000, 0, 4 * SECOND);
    assert_int_equal(m.sight.wanted, 4);
    see(&m, 100000, 0, 4 * SECOND);
    assert_int_equal(m.sight.wanted, 8);
    see(&m, INT64_MAX / 4, INT64_MAX / 4, HOUR);
    assert_int_equal(m.sight.wanted, 8);
    assert_int_equal(m.changes, 3);
}

static void test_size_when_it_grows_then_to_what_was_needed_all_the_time(void **state)
{
    (void)state;
    struct model m = model_of(4);
    see(&m, 4000, 0, 2 * SECOND); /* eight */
    see(&m, 2501, 0, SECOND);     /* six */
    see(&m, 4000, 0, SECOND);
    assert_int_equal(m.sight.wanted, 6);
}

static void test_size_when_commands_are_old_then_it_grows_by_how_much(void **state)
{
    (void)state;
    struct model m = model_of(4);
    see(&m, 5, 2500, 4 * SECOND);
    assert_int_equal(m.sight.wanted, 5);
    assert_int_equal(m.reason, AUTOSCALE_AGE);
    m = model_of(2);
    see(&m, 100, HOUR, 4 * SECOND);
    assert_int_equal(m.sight.wanted, 4);
}

static void test_size_when_fewer_commands_wait_than_there_are_workers_then_their_age_means_nothing(
    void **state)
{
    (void)state;
    struct model m = model_of(4);
    m.options.min = 4;
    see(&m, 4, HOUR, HOUR);
    assert_int_equal(m.changes, 0);
}

static void test_size_when_the_pressure_ends_before_its_time_then_it_stays(void **state)
{
    (void)state;
    struct model m = model_of(2);
    for (int i = 0; i < 100; i++) {
        see(&m, 100000, HOUR, 3 * SECOND);
        see(&m, 900, 0, SECOND); /* what two may have */
    }
    assert_int_equal(m.changes, 0);
}

/* ---- down ---- */

static void test_size_when_little_waits_then_it_shrinks_by_half_after_each_calm_spell(void **state)
{
    (void)state;
    struct model m = model_of(8);
    see(&m, 0, 0, 5 * MINUTE);
    assert_int_equal(m.sight.wanted, 8);
    see(&m, 0, 0, SECOND);
    assert_int_equal(m.sight.wanted, 4);
    assert_int_equal(m.reason, AUTOSCALE_CALM);
    see(&m, 0, 0, 5 * MINUTE + SECOND);
    assert_int_equal(m.sight.wanted, 2);
    see(&m, 0, 0, 5 * MINUTE + SECOND);
    assert_int_equal(m.sight.wanted, 1);
    see(&m, 0, 0, 24 * HOUR);
    assert_int_equal(m.changes, 3);
}

static void test_size_when_a_calm_spell_is_broken_then_it_begins_again(void **state)
{
    (void)state;
    struct model m = model_of(4);
    for (int i = 0; i < 100; i++) {
        see(&m, 0, 0, 5 * MINUTE - SECOND);
        see(&m, 1900, 0, SECOND);
    }
    assert_int_equal(m.changes, 0);
}

static void test_size_when_it_shrinks_then_no_further_than_the_spell_needed(void **state)
{
    (void)state;
    struct model m = model_of(8);
    see(&m, 1500, 0, 2 * MINUTE); /* half of what six may have */
    see(&m, 0, 0, 3 * MINUTE + SECOND);
    assert_int_equal(m.sight.wanted, 6);
}

static void test_size_when_load_is_between_the_thresholds_then_nothing_happens(void **state)
{
    (void)state;
    for (int wanted = 1; wanted <= 8; wanted++)
        for (int64_t waiting = (wanted - 1) * 250 + 1; waiting <= wanted * 500; waiting += 13) {
            struct model m = model_of(wanted);
            see(&m, waiting, 2000, 20 * MINUTE);
            assert_int_equal(m.changes, 0);
        }
}

/* ---- never outside, never to and fro ---- */

static void test_size_when_it_is_out_of_bounds_then_it_is_brought_back_at_once(void **state)
{
    (void)state;
    for (int min = 1; min <= 8; min++)
        for (int max = min; max <= 8; max++)
            for (int wanted = 1; wanted <= 10; wanted++) {
                struct model m = model_of(wanted);
                m.options.min = min;
                m.options.max = max;
                look(&m);
                assert_int_equal(m.sight.wanted, wanted < min ? min : wanted > max ? max : wanted);
                if (m.changes > 0)
                    assert_int_equal(m.reason, AUTOSCALE_BOUNDS);
                see(&m, 1000000, HOUR, MINUTE);
                assert_int_equal(m.sight.wanted, max);
                see(&m, 0, 0, 24 * HOUR);
                assert_int_equal(m.sight.wanted, min);
            }
}

static void test_size_when_anything_is_seen_then_it_stays_in_bounds(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252U;
    for (int run = 0; run < 200; run++) {
        struct model m = model_of(1 + run % 12);
        m.options.min = 1 + run % 4;
        m.options.max = m.options.min + run % 5;
        m.options.calm_ms = (run % 7) * 10 * SECOND;
        for (int i = 0; i < 2000; i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17; /* xorshift64 (Marsaglia 2003) */
            m.sight.waiting = (int64_t)(seed % 9000);
            m.sight.oldest_ms = (int64_t)(seed >> 20) % 6000;
            m.sight.is_troubled = seed >> 60 == 0;
            look(&m); /* which checks it */
        }
    }
}

/* Who has as many workers as its load needs has nothing waiting, and so lets some go, and misses them:
 * seldom. */
static void test_size_when_load_oscillates_then_it_does_not_flap(void **state)
{
    (void)state;
    static const int64_t halves[] = {5 * SECOND, 30 * SECOND, 2 * MINUTE,
                                     6 * MINUTE, 11 * MINUTE, 25 * MINUTE};
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        struct model m = model_of(1);
        for (int64_t t = 0; t < 12 * HOUR; t += 2 * halves[i]) {
            serve(&m, 390, halves[i]);
            serve(&m, 20, halves[i]);
        }
        m.changes = 0;
        for (int64_t t = 0; t < 12 * HOUR; t += 2 * halves[i]) {
            serve(&m, 390, halves[i]);
            serve(&m, 20, halves[i]);
        }
        assert_true(m.changes <= 30); /* without patience: 280 */
        assert_true(m.sight.waiting < 1000);
    }
}

static void test_size_when_load_rises_and_falls_for_good_then_it_follows(void **state)
{
    (void)state;
    struct model m = model_of(1);
    serve(&m, 50, HOUR);
    assert_int_equal(m.sight.wanted, 1);
    serve(&m, 650, HOUR);
    assert_true(m.sight.wanted >= 7);
    assert_true(m.sight.waiting < 1000);
    serve(&m, 50, 12 * HOUR);
    assert_int_equal(m.sight.wanted, 1);
}

static void test_patience_when_a_shrink_stands_then_it_goes_down_again(void **state)
{
    (void)state;
    struct model m = model_of(2);
    see(&m, 0, 0, 5 * MINUTE + SECOND); /* two become one, and are missed */
    see(&m, 5000, 0, 4 * SECOND);
    assert_int_equal(m.sight.wanted, 2);
    assert_int_equal(m.state.patience, 1);
    see(&m, 0, 0, 10 * MINUTE);
    assert_int_equal(m.sight.wanted, 2); /* so the next spell is twice as long */
    see(&m, 0, 0, SECOND);
    assert_int_equal(m.sight.wanted, 1);
    see(&m, 0, 0, 10 * MINUTE + 2 * SECOND);
    assert_int_equal(m.state.patience, 0);
}

/* ---- what is no reason ---- */

static void test_size_when_the_database_is_in_trouble_then_it_stays(void **state)
{
    (void)state;
    struct model m = model_of(4);
    m.sight.is_troubled = true;
    see(&m, 1000000, HOUR, HOUR);
    see(&m, 0, 0, HOUR);
    assert_int_equal(m.changes, 0);
    m.sight.is_troubled = false;
    see(&m, 0, 0, 5 * MINUTE);
    assert_int_equal(m.changes, 0); /* the spell began with the end of it */
}

static void test_size_when_the_clock_jumps_then_no_spell_has_passed(void **state)
{
    (void)state;
    static const int64_t jumps[] = {HOUR, -30 * MINUTE, AUTOSCALE_GAP_MS + 1};
    for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
        struct model m = model_of(4);
        see(&m, 0, 0, 4 * MINUTE);
        m.now_ms += jumps[i]; /* a machine that slept; a clock that went back would break its promise */
        see(&m, 0, 0, 5 * MINUTE);
        assert_int_equal(m.changes, 0);
        see(&m, 100000, 0, 2 * SECOND);
        m.now_ms += jumps[i];
        see(&m, 100000, 0, 3 * SECOND);
        assert_int_equal(m.changes, 0);
        see(&m, 100000, 0, SECOND);
        assert_int_equal(m.changes, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_when_much_waits_then_it_grows_within_seconds_and_at_most_twofold),
        cmocka_unit_test(test_size_when_it_grows_then_to_what_was_needed_all_the_time),
        cmocka_unit_test(test_size_when_commands_are_old_then_it_grows_by_how_much),
        cmocka_unit_test(
            test_size_when_fewer_commands_wait_than_there_are_workers_then_their_age_means_nothing),
        cmocka_unit_test(test_size_when_the_pressure_ends_before_its_time_then_it_stays),
        cmocka_unit_test(test_size_when_little_waits_then_it_shrinks_by_half_after_each_calm_spell),
        cmocka_unit_test(test_size_when_a_calm_spell_is_broken_then_it_begins_again),
        cmocka_unit_test(test_size_when_it_shrinks_then_no_further_than_the_spell_needed),
        cmocka_unit_test(test_size_when_load_is_between_the_thresholds_then_nothing_happens),
        cmocka_unit_test(test_size_when_it_is_out_of_bounds_then_it_is_brought_back_at_once),
        cmocka_unit_test(test_size_when_anything_is_seen_then_it_stays_in_bounds),
        cmocka_unit_test(test_size_when_load_oscillates_then_it_does_not_flap),
        cmocka_unit_test(test_size_when_load_rises_and_falls_for_good_then_it_follows),
        cmocka_unit_test(test_patience_when_a_shrink_stands_then_it_goes_down_again),
        cmocka_unit_test(test_size_when_the_database_is_in_trouble_then_it_stays),
        cmocka_unit_test(test_size_when_the_clock_jumps_then_no_spell_has_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
