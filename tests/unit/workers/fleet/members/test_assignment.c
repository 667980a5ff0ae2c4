/* Properties of the assignment, over many random sets of workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "workers/fleet/members/assignment.h"

enum { ROUNDS = 300, WORKERS = 12 };

static void make_ids(struct uuid *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ids[i] = uuid_v7();
}

/* Workers draw their sizes so that every run sees other ones. */
static unsigned up_to(unsigned max)
{
    return 1 + arc4random_uniform(max);
}

static void test_assignment_when_workers_are_any_then_each_partition_has_one_and_loads_differ_by_one(
    void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct uuid ids[WORKERS];
        unsigned count = up_to(WORKERS), partitions = up_to(64);
        uint64_t all = 0;
        make_ids(ids, count);
        for (size_t self = 0; self < count; self++) {
            uint64_t own = assignment_of(ids, count, self, partitions);
            unsigned load = (unsigned)__builtin_popcountll(own);
            assert_int_equal(own & all, 0);
            assert_in_range(load, partitions / count, (partitions + count - 1) / count);
            all |= own;
        }
        assert_true(all == UINT64_MAX >> (64 - partitions));
    }
}

static void test_assignment_when_the_workers_are_listed_otherwise_then_the_same(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct uuid ids[WORKERS], turned[WORKERS];
        unsigned count = up_to(WORKERS), by = arc4random_uniform(count), partitions = up_to(64);
        make_ids(ids, count);
        for (size_t i = 0; i < count; i++)
            turned[(count - i + by) % count] = ids[i];
        for (size_t i = 0; i < count; i++)
            assert_true(assignment_of(ids, count, i, partitions) ==
                        assignment_of(turned, count, (count - i + by) % count, partitions));
    }
}

/* Partitions that change hands among those who stay, when one more comes or (the other way round) goes. */
static unsigned moved(const struct uuid *ids, size_t count, unsigned partitions)
{
    unsigned moves = 0;
    for (size_t i = 0; i < count; i++)
        moves += (unsigned)__builtin_popcountll(assignment_of(ids, count + 1, i, partitions) &
                                                ~assignment_of(ids, count, i, partitions));
    return moves;
}

/* The newcomer's own share has to move; what moves beside it is the price of the even loads. */
static void test_assignment_when_one_comes_or_goes_then_little_moves_among_the_others(void **state)
{
    (void)state;
    unsigned total = 0, most = 0;
    enum { PARTITIONS = 8 };
    for (int round = 0; round < ROUNDS; round++) {
        struct uuid ids[WORKERS + 1];
        unsigned count = up_to(PARTITIONS);
        make_ids(ids, count + 1);
        unsigned moves = moved(ids, count, PARTITIONS);
        total += moves;
        most = moves > most ? moves : most;
    }
    print_message("moved among those who stay: %.2f on average, %u at most\n", (double)total / ROUNDS, most);
    assert_true(total < ROUNDS);
    assert_in_range(most, 0, PARTITIONS / 2);
}

static void test_assignment_when_workers_outnumber_partitions_then_some_have_none(void **state)
{
    (void)state;
    struct uuid *ids = xcalloc(ASSIGNMENT_WORKERS_MAX, sizeof(*ids));
    unsigned with = 0;
    make_ids(ids, ASSIGNMENT_WORKERS_MAX);
    for (size_t i = 0; i < 64; i++)
        with += assignment_of(ids, 64, i, 8) != 0;
    assert_int_equal(with, 8);
    assert_true(__builtin_popcountll(assignment_of(ids, ASSIGNMENT_WORKERS_MAX, 0, 64)) <= 1);
    free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_assignment_when_workers_are_any_then_each_partition_has_one_and_loads_differ_by_one),
        cmocka_unit_test(test_assignment_when_the_workers_are_listed_otherwise_then_the_same),
        cmocka_unit_test(test_assignment_when_one_comes_or_goes_then_little_moves_among_the_others),
        cmocka_unit_test(test_assignment_when_workers_outnumber_partitions_then_some_have_none),
    };
    return cmocka_run_group_tests_name("assignment", tests, NULL, NULL);
}
