/* Who sees the same of a delivery shares it, and is found without a look at all others. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/hub/shares.h"

enum { EVENTS = 64, USERS = 5000 };

/* A user who is a member of the projects of some of the events. */
static void make_ties(size_t user, uint8_t ties[EVENTS])
{
    memset(ties, 0, EVENTS);
    for (size_t bit = 0; bit < 13; bit++)
        ties[bit * 4] = user >> bit & 1 ? MSG_MAY_MEMBER : 0;
}

static void test_shares_when_users_differ_finds_each_by_a_look_or_two(void **state)
{
    (void)state;
    static struct share *of_user[USERS];
    CLEANUP(shares_done) struct shares shares = {0};
    uint8_t ties[EVENTS];
    bool is_new;
    for (size_t user = 0; user < USERS; user++) {
        make_ties(user, ties);
        of_user[user] = shares_obtain(&shares, MSG_ROLE_SUPERVISOR, ties, EVENTS, &is_new);
        assert_true(is_new);
    }
    for (size_t user = 0; user < USERS; user++) {
        make_ties(user, ties);
        assert_ptr_equal(shares_obtain(&shares, MSG_ROLE_SUPERVISOR, ties, EVENTS, &is_new), of_user[user]);
        assert_false(is_new);
    }
    assert_int_equal(shares.count, USERS);
    assert_in_range(shares.comparisons, USERS, 2 * USERS); /* each with each would be 12 million */
}

static void test_shares_when_the_role_or_the_ties_differ_are_others(void **state)
{
    (void)state;
    CLEANUP(shares_done) struct shares shares = {0};
    uint8_t ties[EVENTS] = {0};
    bool is_new;
    struct share *first = shares_obtain(&shares, MSG_ROLE_SUPERVISOR, ties, EVENTS, &is_new);
    assert_ptr_not_equal(shares_obtain(&shares, MSG_ROLE_OPERATIVE, ties, EVENTS, &is_new), first);
    assert_true(is_new);
    ties[EVENTS - 1] = MSG_MAY_SELF;
    assert_ptr_not_equal(shares_obtain(&shares, MSG_ROLE_SUPERVISOR, ties, EVENTS, &is_new), first);
    assert_true(is_new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_when_users_differ_finds_each_by_a_look_or_two),
        cmocka_unit_test(test_shares_when_the_role_or_the_ties_differ_are_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
