#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/bus/refusals.h"

enum { REFUSED_EACH_MS = 100, BEGAN_MS = 1000000 };

/* The connection that is made first after the election takes messages again. */
static void test_pace_when_a_leader_is_elected_then_the_connection_is_made_anew_within_a_second(void **state)
{
    (void)state;
    for (int64_t elected_ms = BEGAN_MS; elected_ms < BEGAN_MS + REFUSALS_EAGER_MS; elected_ms += 50) {
        struct refusals_pace pace = {0};
        int64_t now_ms = BEGAN_MS;
        while (!refusals_pace_is_due(&pace, now_ms) || now_ms < elected_ms)
            now_ms += REFUSED_EACH_MS;
        assert_in_range(now_ms, elected_ms, elected_ms + REFUSALS_SPACING_MIN_MS);
    }
}

static void test_pace_when_refusals_go_on_then_the_connection_is_made_anew_ever_more_rarely(void **state)
{
    (void)state;
    static const struct {
        int64_t end_ms;
        unsigned reconnections;
    } table[] = {
        {9900, 10},   /* one each second */
        {41900, 15},  /* after 1, 2, 4, 8, 16 s more */
        {641900, 35}, /* each half minute */
    };
    struct refusals_pace pace = {0};
    int64_t now_ms = BEGAN_MS;
    unsigned reconnections = 0;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        for (; now_ms <= BEGAN_MS + table[i].end_ms; now_ms += REFUSED_EACH_MS)
            reconnections += refusals_pace_is_due(&pace, now_ms);
        assert_int_equal(reconnections, table[i].reconnections);
    }
}

static void test_pace_when_it_was_quiet_then_it_begins_anew(void **state)
{
    (void)state;
    struct refusals_pace pace = {0};
    int64_t now_ms = BEGAN_MS;
    for (; now_ms < BEGAN_MS + 300000; now_ms += REFUSED_EACH_MS)
        (void)refusals_pace_is_due(&pace, now_ms);
    now_ms += 60000;
    assert_true(refusals_pace_is_due(&pace, now_ms));
    assert_false(refusals_pace_is_due(&pace, now_ms + REFUSALS_SPACING_MIN_MS - 1));
    assert_true(refusals_pace_is_due(&pace, now_ms + REFUSALS_SPACING_MIN_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace_when_a_leader_is_elected_then_the_connection_is_made_anew_within_a_second),
        cmocka_unit_test(test_pace_when_refusals_go_on_then_the_connection_is_made_anew_ever_more_rarely),
        cmocka_unit_test(test_pace_when_it_was_quiet_then_it_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
