#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "workers/engine/intake/intake.h"

static struct ev_loop *loop;
static const struct partition_set all = {.count = 1, .mine = 1};
static size_t unacked; /* deliveries of that partition; what is settled is acked at once */

static struct intake *new_intake(size_t batch_max, size_t share, size_t prefetch)
{
    const struct intake_options options = {.batch_max = batch_max,
                                           .share = share,
                                           .park_max = 100,
                                           .parked_max = 1000,
                                           .prefetch = prefetch,
                                           .lock_ms = 10,
                                           .unacked = &unacked,
                                           .held = &unacked};
    unacked = 0;
    return intake_new(loop, &all, &options);
}

/* number: the last octet of the id; company: the first octet of the company. */
static struct command *make(char company, uint8_t number)
{
    static const struct broker_delivery nothing;
    struct command *command = command_new(&nothing);
    command->verdict = ERR_OK;
    command->envelope.company.octet[0] = (uint8_t)company;
    command->envelope.id.octet[15] = number;
    return command;
}

static struct command *add(struct intake *intake, char company, uint8_t number)
{
    struct command *command = make(company, number);
    unacked++;
    intake_add(intake, command);
    return command;
}

static void add_many(struct intake *intake, char company, uint8_t first, uint8_t last)
{
    for (uint8_t i = first; i <= last; i++)
        add(intake, company, i);
}

/* Writes the commands as "a1 a2 b1 (a3)": those in brackets are to be parked. */
static void describe(const struct command *commands, char text[1024])
{
    char *at = text;
    *at = '\0';
    for (const struct command *command = commands; command; command = command->next)
        at += sprintf(at, command->deferral ? "%s(%c%d)" : "%s%c%d", command == commands ? "" : " ",
                      command->envelope.company.octet[0], command->envelope.id.octet[15]);
}

/* Settles all of them: as done, or as parked when their deferral is TURN. */
static void settle(struct command *commands)
{
    while (commands) {
        struct command *command = commands;
        commands = command->next;
        command->outcome = command->deferral ? COMMAND_DEFERRED : COMMAND_DONE;
        unacked -= !command->row;
        intake_settled(command);
        command_free(command);
    }
}

static void assert_batch(struct intake *intake, const char *expected)
{
    char text[1024];
    struct command *commands = intake_take(intake);
    describe(commands, text);
    assert_string_equal(text, expected);
    settle(commands);
}

/* ---- one company ---- */

static void test_intake_when_more_waits_than_a_batch_takes_gives_them_in_order(void **state)
{
    (void)state;
    struct intake *intake = new_intake(3, 3, 100);
    add_many(intake, 'a', 1, 5);
    assert_batch(intake, "a1 a2 a3");
    add(intake, 'a', 6);
    assert_int_equal(intake_waiting(intake), 3);
    assert_batch(intake, "a4 a5 a6");
    assert_batch(intake, "");
    assert_int_equal(intake_companies(intake), 0);
    intake_free(intake);
}

static void test_intake_when_an_id_comes_twice_leaves_the_second_for_a_later_batch(void **state)
{
    (void)state;
    struct intake *intake = new_intake(10, 10, 100);
    static const uint8_t numbers[] = {1, 2, 1, 3, 1};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        add(intake, 'a', numbers[i]);
    add(intake, 'b', 1);
    assert_batch(intake, "a1 a2 b1");
    assert_batch(intake, "a1 a3");
    assert_batch(intake, "a1");
    intake_free(intake);
}

static void test_intake_when_bodies_are_large_ends_the_batch_early(void **state)
{
    (void)state;
    struct intake *intake = new_intake(1000, 1000, 100);
    static const char large[600 << 10];
    for (uint8_t i = 1; i <= 3; i++)
        add(intake, 'a', i)->envelope.body = (struct slice){large, sizeof(large)};
    assert_batch(intake, "a1 a2");
    assert_batch(intake, "a3");
    intake_free(intake);
}

static void test_intake_when_a_command_was_begun_before_takes_it_alone(void **state)
{
    (void)state;
    struct intake *intake = new_intake(10, 10, 100);
    add_many(intake, 'a', 1, 1);
    add(intake, 'a', 2)->was_begun = true;
    add_many(intake, 'a', 3, 4);
    add(intake, 'b', 1);
    assert_batch(intake, "a1 b1");
    assert_batch(intake, "a2");
    assert_batch(intake, "a3 a4");
    intake_free(intake);
}

/* ---- companies in turn ---- */

static void test_intake_when_one_company_has_much_the_others_go_with_it_in_each_batch(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 3, 100);
    add_many(intake, 'a', 1, 8);
    add(intake, 'b', 1);
    add_many(intake, 'c', 1, 2);
    assert_batch(intake, "a1 a2 a3 b1 c1 c2");
    add(intake, 'b', 2);
    assert_batch(intake, "a4 a5 a6 b2");
    assert_batch(intake, "a7 a8");
    intake_free(intake);
}

static void test_intake_when_a_batch_is_full_the_next_one_begins_with_who_had_no_turn(void **state)
{
    (void)state;
    struct intake *intake = new_intake(4, 2, 100);
    add_many(intake, 'a', 1, 6);
    add_many(intake, 'b', 1, 6);
    add_many(intake, 'c', 1, 6);
    assert_batch(intake, "a1 a2 b1 b2");
    assert_batch(intake, "c1 c2 a3 a4");
    assert_batch(intake, "b3 b4 c3 c4");
    intake_free(intake);
}

/* Commands come in any order. Those of a company come out in theirs, and while all companies have enough to
 * do, all get the same. */
static void test_intake_when_companies_come_at_random_each_keeps_its_order_and_gets_its_share(void **state)
{
    (void)state;
    enum { COMPANIES = 5, EACH = 200 };
    struct intake *intake = new_intake(16, 4, 10000);
    unsigned added[COMPANIES] = {0}, seen[COMPANIES] = {0};
    srand(7);
    for (int left = COMPANIES * EACH; left > 0;) {
        int company = rand() % COMPANIES;
        if (added[company] == EACH)
            continue;
        add(intake, (char)('a' + company), (uint8_t)++added[company]);
        left--;
    }
    for (struct command *commands; (commands = intake_take(intake));) {
        for (const struct command *command = commands; command; command = command->next) {
            unsigned *last = &seen[command->envelope.company.octet[0] - 'a'];
            assert_int_equal(command->envelope.id.octet[15], ++*last);
        }
        settle(commands);
        for (int i = 0; i < COMPANIES; i++)
            for (int j = 0; j < COMPANIES; j++)
                assert_true(seen[i] <= seen[j] + 8 || seen[j] == EACH);
    }
    for (int i = 0; i < COMPANIES; i++)
        assert_int_equal(seen[i], EACH);
    intake_free(intake);
}

static void test_intake_when_bodies_of_one_company_are_large_it_gets_fewer_commands(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 4, 100);
    static const char body[5 << 10]; /* two units */
    for (uint8_t i = 1; i <= 6; i++)
        add(intake, 'a', i)->envelope.body = (struct slice){body, sizeof(body)};
    add_many(intake, 'b', 1, 8);
    assert_batch(intake, "a1 a2 b1 b2 b3 b4");
    assert_batch(intake, "a3 a4 b5 b6 b7 b8");
    intake_free(intake);
}

static void test_intake_when_a_body_costs_more_than_a_turn_it_is_taken_all_the_same(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 2, 100);
    static const char body[100 << 10];
    add(intake, 'a', 1)->envelope.body = (struct slice){body, sizeof(body)};
    assert_batch(intake, "a1");
    intake_free(intake);
}

/* ---- what is not known yet ---- */

static void test_intake_when_a_partition_is_closed_runs_rows_and_opens_company_by_company(void **state)
{
    (void)state;
    struct intake *intake = new_intake(10, 10, 100);
    add(intake, 'b', 1);
    intake_close(intake, 1);
    add_many(intake, 'a', 1, 2);
    add(intake, 'c', 1);
    assert_batch(intake, ""); /* not what was ready before, either */
    struct command *row = make('c', 9);
    row->row = DEFER_TURN;
    intake_load(intake, row);
    assert_batch(intake, "c9");
    intake_found(intake, &(struct uuid){{'a'}}, 1);
    intake_open(intake, &(struct uuid){{'b'}});
    assert_batch(intake, "b1"); /* a waits for its rows, c for the next page */
    intake_counted(intake, &(struct uuid){{'a'}}, 41);
    assert_int_equal(intake_parked(intake), 42);
    intake_open(intake, NULL);
    assert_batch(intake, "c1");
    struct intake_want want;
    assert_int_equal(intake_wants(intake, &want, 1), 1);
    intake_loaded(intake, &want.company, 0, true);
    assert_batch(intake, "a1 a2");
    intake_free(intake);
}

/* ---- coming back ---- */

static void test_intake_when_a_command_backs_off_its_company_waits_and_the_others_go_on(void **state)
{
    (void)state;
    struct intake *intake = new_intake(2, 2, 100);
    add_many(intake, 'a', 1, 3);
    struct command *commands = intake_take(intake), *second = commands->next;
    commands->error = ERR_DATABASE_CONFLICT;
    commands->backoffs = 1;
    second->outcome = COMMAND_AGAIN;
    intake_return(intake, second);
    commands->outcome = COMMAND_RETRY;
    intake_return(intake, commands);
    add(intake, 'b', 1);
    assert_int_equal(intake_backing_off(intake), 1);
    assert_batch(intake, "b1");
    assert_batch(intake, "");
    while (intake_backing_off(intake) > 0)
        ev_run(loop, EVRUN_ONCE);
    assert_batch(intake, "a1 a2");
    assert_batch(intake, "a3");
    intake_free(intake);
}

/* Returns everything in `commands`, the last one first. */
static void return_all(struct intake *intake, struct command *commands, enum command_outcome outcome)
{
    if (!commands)
        return;
    struct command *next = commands->next;
    return_all(intake, next, outcome);
    commands->outcome = outcome;
    intake_return(intake, commands);
}

static void test_intake_when_a_company_is_locked_tries_one_command_of_it_and_keeps_its_order(void **state)
{
    (void)state;
    struct intake *intake = new_intake(3, 3, 100);
    add_many(intake, 'a', 1, 4);
    return_all(intake, intake_take(intake), COMMAND_LOCKED);
    add(intake, 'b', 1);
    assert_true(intake_is_locked(intake, &(struct uuid){{'a'}}));
    assert_batch(intake, "b1");
    while (intake_backing_off(intake) > 0)
        ev_run(loop, EVRUN_ONCE);
    struct command *first = intake_take(intake);
    assert_null(first->next);
    assert_int_equal(first->envelope.id.octet[15], 1);
    settle(first);
    assert_false(intake_is_locked(intake, &(struct uuid){{'a'}}));
    assert_batch(intake, "a2 a3 a4");
    intake_free(intake);
}

static void test_intake_when_companies_are_blocked_each_tries_alone_and_they_share_a_pause(void **state)
{
    (void)state;
    struct intake *intake = new_intake(10, 3, 100);
    add_many(intake, 'a', 1, 2);
    return_all(intake, intake_take(intake), COMMAND_BLOCKED);
    add_many(intake, 'b', 1, 2);
    return_all(intake, intake_take(intake), COMMAND_BLOCKED);
    ev_tstamp begun = ev_now(loop);
    struct command *first = NULL;
    while (!(first = intake_take(intake)))
        ev_run(loop, EVRUN_ONCE);
    assert_true(ev_now(loop) - begun > 0.19); /* 20 times what a batch waits */
    assert_null(first->next);
    first->outcome = COMMAND_BLOCKED;
    intake_return(intake, first);
    add(intake, 'c', 1);
    assert_batch(intake, "c1"); /* not the other one that is blocked */
    intake_free(intake);
}

static void test_intake_when_the_prefetch_fills_parks_all_of_a_company_that_is_locked(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 3, 16);
    add_many(intake, 'a', 1, 12);
    return_all(intake, intake_take(intake), COMMAND_LOCKED);
    add(intake, 'b', 1);
    assert_batch(intake, "b1 (a1) (a2) (a3) (a4) (a5) (a6) (a7) (a8) (a9) (a10) (a11) (a12)");
    intake_free(intake);
}

static struct command *given_up;

static void on_given_up(void *arg, struct command *row)
{
    (void)arg;
    given_up = row;
}

static void test_intake_when_it_drains_with_a_locked_company_gives_up_its_rows_and_parks_its_deliveries(
    void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 3, 100);
    struct command *row = make('a', 1);
    row->row = DEFER_TURN;
    intake_load(intake, row);
    add_many(intake, 'a', 2, 3);
    return_all(intake, intake_take(intake), COMMAND_LOCKED);
    intake_drain(intake);
    intake_give_up_locked(intake, on_given_up, NULL);
    assert_ptr_equal(given_up, row);
    command_free(row);
    assert_batch(intake, "(a2) (a3)");
    assert_int_equal(intake_waiting(intake), 0);
    intake_give_up_locked(intake, on_given_up, NULL);
    assert_int_equal(intake_backing_off(intake), 0);
    intake_free(intake);
}

static void test_intake_when_cleared_forgets_deliveries_and_keeps_rows(void **state)
{
    (void)state;
    struct intake *intake = new_intake(10, 10, 100);
    add_many(intake, 'a', 1, 2);
    struct command *row = make('a', 3);
    row->row = DEFER_RETRY;
    intake_load(intake, row);
    intake_clear(intake);
    assert_int_equal(intake_waiting(intake), 1);
    assert_batch(intake, "a3");
    intake_free(intake);
}

/* ---- parking ---- */

static void load(struct intake *intake, char company, uint8_t first, uint8_t last)
{
    for (uint8_t i = first; i <= last; i++) {
        struct command *command = make(company, i);
        command->row = DEFER_TURN;
        command->place = i;
        intake_load(intake, command);
    }
}

static void test_intake_when_the_prefetch_fills_parks_what_one_company_has_beyond_a_quarter(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 2, 8);
    add_many(intake, 'a', 1, 7);
    add(intake, 'b', 1);
    assert_batch(intake, "a1 a2 b1 (a3) (a4) (a5) (a6) (a7)");
    /* A row lies between what is ready and what comes now: that is parked, too, or waits behind it. */
    add(intake, 'a', 8);
    assert_batch(intake, "");
    struct intake_want want;
    assert_int_equal(intake_wants(intake, &want, 1), 1);
    assert_int_equal(want.company.octet[0], 'a');
    assert_int_equal(want.place, 0);
    load(intake, 'a', 3, 7);
    intake_loaded(intake, &want.company, 5, true);
    assert_batch(intake, "a3 a4 a5 a6 a7");
    assert_batch(intake, "a8");
    assert_int_equal(intake_companies(intake), 0);
    intake_free(intake);
}

/* How many of the commands of a batch are to be run, and to be parked. */
static void count_batch(struct intake *intake, size_t *ret_run, size_t *ret_parked)
{
    struct command *batch = intake_take(intake);
    *ret_run = *ret_parked = 0;
    for (const struct command *command = batch; command; command = command->next)
        *(command->deferral == DEFER_TURN ? ret_parked : ret_run) += 1;
    settle(batch);
}

static void test_intake_when_deliveries_are_parcels_then_commands_are_what_is_bounded(void **state)
{
    (void)state;
    enum { PREFETCH = 8, PARCELS = 3, EACH = 10, LIMIT = 16 * PREFETCH /* commands of the partition */ };
    static size_t parcels = PARCELS, commands;
    const struct intake_options options = {.batch_max = 100,
                                           .share = 100,
                                           .park_max = 100,
                                           .parked_max = 1000,
                                           .prefetch = PREFETCH,
                                           .lock_ms = 10,
                                           .unacked = &parcels,
                                           .held = &commands};
    struct intake *intake = intake_new(loop, &all, &options);
    size_t run, parked;
    commands = PARCELS * EACH;
    add_many(intake, 'a', 1, PARCELS * EACH);
    count_batch(intake, &run, &parked);
    assert_int_equal(run, PREFETCH / 4 * EACH); /* what a quarter of the prefetch brings */
    assert_int_equal(parked, 0);
    commands = LIMIT; /* most of the prefetch is free, and the memory is not */
    add_many(intake, 'b', 1, LIMIT);
    count_batch(intake, &run, &parked);
    assert_int_equal(run, EACH + LIMIT / 4); /* a quarter of that is the most */
    assert_int_equal(parked, LIMIT - LIMIT / 4);
    intake_free(intake);
}

static void test_intake_when_what_is_to_be_parked_cannot_be_then_it_is_run(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 2, 8);
    static const uint8_t numbers[] = {1, 2, 1, 3, 4, 5, 6};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        add(intake, 'a', numbers[i]);
    assert_batch(intake,
                 "a1 a2"); /* the second a1 may not be in one batch with the first, nor what is behind it */
    assert_batch(intake, "a1 a3");
    assert_batch(intake, "a4 a5");
    assert_batch(intake, "a6");
    assert_int_equal(intake_companies(intake), 0);
    intake_free(intake);
}

static void test_intake_when_rows_are_found_what_was_let_in_waits_behind_them(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 2, 8);
    struct intake_want want;
    struct uuid a = {{'a'}};
    add_many(intake, 'a', 3, 4);
    intake_found(intake, &a, 2);
    assert_batch(intake, "");
    assert_int_equal(intake_wants(intake, &want, 1), 1);
    load(intake, 'a', 1, 2);
    intake_loaded(intake, &a, 2, true);
    assert_batch(intake, "a1 a2");
    assert_batch(intake, "a3 a4");
    intake_free(intake);
}

static void test_intake_when_rows_remain_asks_for_those_after_the_last_one(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 2, 8);
    struct intake_want want;
    struct uuid a = {{'a'}};
    intake_found(intake, &a, 6);
    add(intake, 'a', 9);
    assert_int_equal(intake_wants(intake, &want, 1), 1);
    assert_int_equal(intake_wants(intake, &want, 1), 0); /* until that is answered */
    load(intake, 'a', 1, 4);
    intake_loaded(intake, &a, 4, false);
    assert_batch(intake, "a1 a2 a3 a4");
    assert_int_equal(intake_wants(intake, &want, 1), 1);
    assert_int_equal(want.place, 4);
    intake_loaded(intake, &a, 0, true);
    assert_batch(intake, "a9");
    intake_free(intake);
}

static void test_intake_when_rows_are_at_their_bound_leaves_the_rest_to_the_queue(void **state)
{
    (void)state;
    struct intake_options options = {.batch_max = 9,
                                     .share = 1,
                                     .park_max = 9,
                                     .parked_max = 5,
                                     .prefetch = 4,
                                     .unacked = &unacked,
                                     .held = &unacked};
    unacked = 0;
    struct intake *intake = intake_new(loop, &all, &options);
    struct uuid a = {{'a'}};
    intake_found(intake, &a, 5);
    add_many(intake, 'a', 1, 4);
    assert_batch(intake, "");
    assert_int_equal(intake_waiting(intake), 4);
    intake_free(intake);
}

static void test_intake_when_a_backlog_is_alone_runs_more_of_it_than_beside_others(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 2, 100);
    struct uuid a = {{'a'}};
    intake_found(intake, &a, 50);
    load(intake, 'a', 1, 20);
    intake_loaded(intake, &a, 20, false);
    assert_batch(intake, "a1 a2 a3 a4 a5 a6 a7 a8");
    add(intake, 'b', 1);
    assert_batch(intake, "a9 a10 b1");
    intake_free(intake);
}

static void add_begun(struct intake *intake, char company, uint8_t number, uint64_t parcel)
{
    struct command *command = make(company, number);
    command->was_begun = command->is_of_parcel = true;
    command->tag = parcel;
    unacked++;
    intake_add(intake, command);
}

static void test_intake_when_a_parcel_was_begun_before_its_commands_go_together_and_without_others(
    void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 100, 100);
    add_begun(intake, 'a', 1, 7);
    add_begun(intake, 'b', 1, 7);
    add_begun(intake, 'b', 2, 8);
    add(intake, 'c', 1);
    add(intake, 'b', 3)->was_begun = true; /* a delivery of its own */
    add(intake, 'b', 4);
    add_begun(intake, 'd', 1, 8);
    add_begun(intake, 'a', 2, 7);
    add_begun(intake, 'a', 3, 8);
    assert_batch(intake, "a1 a2 b1");
    assert_batch(intake, "c1"); /* it was passed over, and keeps its place */
    assert_batch(intake, "d1 a3 b2");
    assert_batch(intake, "b3");
    assert_batch(intake, "b4");
    assert_int_equal(intake_companies(intake), 0);
    intake_free(intake);
}

/* It has run with its parcel before, or its company is locked. */
static void test_intake_when_a_command_of_a_parcel_is_suspect_by_itself_it_goes_alone(void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 100, 100);
    add_begun(intake, 'a', 1, 7);
    add_begun(intake, 'a', 2, 7);
    struct command *commands = intake_take(intake), *second = commands->next;
    commands->has_begun_mark = second->has_begun_mark = true;
    commands->outcome = second->outcome = COMMAND_AGAIN;
    intake_return(intake, second);
    intake_return(intake, commands);
    assert_batch(intake, "a1");
    assert_batch(intake, "a2");
    intake_free(intake);
}

static void test_intake_when_one_that_was_begun_comes_after_a_company_with_much_it_begins_the_next_batch(
    void **state)
{
    (void)state;
    struct intake *intake = new_intake(100, 2, 100);
    add_many(intake, 'a', 1, 6);
    add(intake, 'b', 1)->was_begun = true;
    add(intake, 'c', 1);
    assert_batch(intake, "a1 a2");
    assert_batch(intake, "b1");
    assert_batch(intake, "c1 a3 a4");
    assert_batch(intake, "a5 a6");
    intake_free(intake);
}

static void test_intake_when_the_process_leaves_parks_what_stands_behind_rows(void **state)
{
    (void)state;
    struct intake *intake = new_intake(9, 9, 100);
    struct uuid a = {{'a'}};
    intake_found(intake, &a, 5);
    add_many(intake, 'a', 6, 7);
    assert_batch(intake, "");
    intake_drain(intake);
    assert_batch(intake, "(a6) (a7)");
    assert_int_equal(intake_waiting(intake), 0);
    intake_free(intake);
}

static int setup(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ev_loop_destroy(loop);
    return 0;
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_intake_when_more_waits_than_a_batch_takes_gives_them_in_order),
        TEST(test_intake_when_an_id_comes_twice_leaves_the_second_for_a_later_batch),
        TEST(test_intake_when_bodies_are_large_ends_the_batch_early),
        TEST(test_intake_when_a_command_was_begun_before_takes_it_alone),
        TEST(test_intake_when_one_company_has_much_the_others_go_with_it_in_each_batch),
        TEST(test_intake_when_a_batch_is_full_the_next_one_begins_with_who_had_no_turn),
        TEST(test_intake_when_companies_come_at_random_each_keeps_its_order_and_gets_its_share),
        TEST(test_intake_when_bodies_of_one_company_are_large_it_gets_fewer_commands),
        TEST(test_intake_when_a_body_costs_more_than_a_turn_it_is_taken_all_the_same),
        TEST(test_intake_when_a_partition_is_closed_runs_rows_and_opens_company_by_company),
        TEST(test_intake_when_a_command_backs_off_its_company_waits_and_the_others_go_on),
        TEST(test_intake_when_a_company_is_locked_tries_one_command_of_it_and_keeps_its_order),
        TEST(test_intake_when_companies_are_blocked_each_tries_alone_and_they_share_a_pause),
        TEST(test_intake_when_the_prefetch_fills_parks_all_of_a_company_that_is_locked),
        TEST(test_intake_when_it_drains_with_a_locked_company_gives_up_its_rows_and_parks_its_deliveries),
        TEST(test_intake_when_cleared_forgets_deliveries_and_keeps_rows),
        TEST(test_intake_when_the_prefetch_fills_parks_what_one_company_has_beyond_a_quarter),
        TEST(test_intake_when_deliveries_are_parcels_then_commands_are_what_is_bounded),
        TEST(test_intake_when_what_is_to_be_parked_cannot_be_then_it_is_run),
        TEST(test_intake_when_rows_are_found_what_was_let_in_waits_behind_them),
        TEST(test_intake_when_rows_remain_asks_for_those_after_the_last_one),
        TEST(test_intake_when_rows_are_at_their_bound_leaves_the_rest_to_the_queue),
        TEST(test_intake_when_a_backlog_is_alone_runs_more_of_it_than_beside_others),
        TEST(test_intake_when_a_parcel_was_begun_before_its_commands_go_together_and_without_others),
        TEST(test_intake_when_a_command_of_a_parcel_is_suspect_by_itself_it_goes_alone),
        TEST(test_intake_when_one_that_was_begun_comes_after_a_company_with_much_it_begins_the_next_batch),
        TEST(test_intake_when_the_process_leaves_parks_what_stands_behind_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
