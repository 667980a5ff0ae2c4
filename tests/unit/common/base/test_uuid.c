#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/uuid.h"

static void test_v7_when_made_in_a_row_then_each_is_greater(void **state)
{
    (void)state;
    struct uuid last = uuid_v7();
    for (int i = 0; i < 100000; i++) {
        struct uuid next = uuid_v7();
        assert_true(memcmp(&last, &next, sizeof(next)) < 0);
        assert_int_equal(next.octet[6] >> 4, 7);
        assert_int_equal(next.octet[8] >> 6, 2);
        last = next;
    }
}

static void test_v7_when_the_process_forks_then_the_child_draws_others(void **state)
{
    (void)state;
    struct uuid mine, theirs;
    int ends[2];
    (void)uuid_v7(); /* fills the pool that a child must not share */
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        theirs = uuid_v7();
        _exit(write(ends[1], &theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
    }
    mine = uuid_v7();
    assert_int_equal(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_memory_not_equal(mine.octet + 8, theirs.octet + 8, 8);
    close(ends[0]);
    close(ends[1]);
}

static void test_parse_when_not_canonical_then_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "0190163d-8694-739b-aea5-966c26f8ad9",
        "0190163d-8694-739b-aea5-966c26f8ad901",
        "0190163d08694-739b-aea5-966c26f8ad90",
        "g190163d-8694-739b-aea5-966c26f8ad90",
        "{190163d-8694-739b-aea5-966c26f8ad9}",
        "0190163d8694739baea5966c26f8ad900000",
    };
    struct uuid u;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(uuid_parse(slice_of(bad[i]), &u));
}

static void test_parse_when_upper_case_then_formats_lower(void **state)
{
    (void)state;
    struct uuid u;
    char text[UUID_TEXT_LEN + 1];
    assert_true(uuid_parse(SLICE("0190163D-8694-739B-AEA5-966C26F8AD90"), &u));
    uuid_format(&u, text);
    assert_string_equal(text, "0190163d-8694-739b-aea5-966c26f8ad90");
}

static void test_derive_when_parts_are_cut_elsewhere_then_another_id(void **state)
{
    (void)state;
    struct uuid a = uuid_derive((struct slice[]){SLICE("ab"), SLICE("c")}, 2);
    struct uuid b = uuid_derive((struct slice[]){SLICE("a"), SLICE("bc")}, 2);
    struct uuid again = uuid_derive((struct slice[]){SLICE("ab"), SLICE("c")}, 2);
    assert_false(uuid_equal(&a, &b));
    assert_true(uuid_equal(&a, &again));
    assert_int_equal(a.octet[6] >> 4, 8);
}

static void test_clock_format_when_given_a_known_instant_then_rfc3339(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_SIZE];
    clock_format(1769850900123456, text);
    assert_string_equal(text, "2026-01-31T09:15:00.123456Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v7_when_made_in_a_row_then_each_is_greater),
        cmocka_unit_test(test_v7_when_the_process_forks_then_the_child_draws_others),
        cmocka_unit_test(test_parse_when_not_canonical_then_refused),
        cmocka_unit_test(test_parse_when_upper_case_then_formats_lower),
        cmocka_unit_test(test_derive_when_parts_are_cut_elsewhere_then_another_id),
        cmocka_unit_test(test_clock_format_when_given_a_known_instant_then_rfc3339),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
