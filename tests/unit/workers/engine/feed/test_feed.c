/* The feed against a real database and a real broker: whatever wakes it, whoever dies, each event is passed once. */

#include "tests/unit/workers/engine/worker_fixture.h"

#include "common/broker/envelope.h"
#include "common/broker/topology.h"
#include "workers/engine/feed/feed.h"

#define POOL_NAME "fed"

enum { NEVER_MS = 600000, SOON_MS = 20, LIMIT_S = 120 };

/* What follows: a row for each event, and a fault for one of the type `poison`. */
static const struct feed_consumer consumer = {
    POOL_NAME,
    ", follows AS (INSERT INTO followed SELECT company_id, seq, type FROM batch"
    " WHERE 1 / CASE WHEN type = 'poison' THEN 0 ELSE 1 END = 1)",
};

static struct config config;
static const struct partition_set all_partitions = {.count = 8, .mine = 255};

/* ---- a worker's feed ---- */

struct fed_worker {
    struct ev_loop *loop;
    struct broker *broker;
    struct feed *feed;
    bool is_up;
};

static void on_broker_up(void *ctx, struct broker *broker)
{
    struct fed_worker *w = ctx;
    topology_declare_exchanges(broker, &(const struct config){0});
    feed_up(w->feed);
    w->is_up = true;
}

static void on_broker_down(void *ctx, struct broker *broker, const char *why)
{
    struct fed_worker *w = ctx;
    (void)broker, (void)why;
    feed_down(w->feed);
}

static void on_broker_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct fed_worker *w = ctx;
    (void)broker;
    assert_true(feed_delivery(w->feed, delivery));
}

static struct fed_worker *worker_begin(const struct engine *e, const struct partition_set *partitions)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_broker_up, .on_down = on_broker_down, .on_delivery = on_broker_delivery};
    struct fed_worker *w = xcalloc(1, sizeof(*w));
    w->loop = e->loop;
    const struct broker_options options = {
        .url = config.amqp_url, .name = "test_feed", .unconfirmed_max = 1000, .unconfirmed_bytes = 1 << 20};
    assert_int_equal(broker_new(e->loop, &options, &callbacks, w, &w->broker), ERR_OK);
    const struct feed_options of_feed = {.config = &config,
                                         .pool = POOL_NAME,
                                         .consumer = &consumer,
                                         .partitions = partitions,
                                         .broker = w->broker};
    assert_int_equal(feed_new(e->loop, &of_feed, &w->feed), ERR_OK);
    return w;
}

/* As the process ends at whatever it does. */
static void worker_end(struct fed_worker *w)
{
    feed_close(w->feed);
    broker_free(w->broker);
    feed_free(w->feed);
    free(w);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

/* Lets the loop turn once, for 10 ms at most. */
static void turn(const struct engine *e)
{
    ev_timer tick;
    ev_timer_init(&tick, on_tick, 0.01, 0);
    ev_timer_start(e->loop, &tick);
    ev_run(e->loop, EVRUN_ONCE);
    ev_timer_stop(e->loop, &tick);
}

#define eventually(e, condition)                                  \
    do {                                                          \
        int64_t limit_ = clock_monotonic_ms() + LIMIT_S * 1000LL; \
        while (!(condition)) {                                    \
            if (clock_monotonic_ms() > limit_)                    \
                fail_msg("never became true: %s", #condition);    \
            turn(e);                                              \
        }                                                         \
    } while (0)

/* ---- events and what follows ---- */

/* `at`: SQL of their time. */
static void add_events_at(const struct uuid *company, int count, const char *type, const char *at)
{
    run_sqlf("WITH s AS (UPDATE company_sequence SET seq = seq + %d WHERE company_id = '%s' RETURNING seq)"
             " INSERT INTO events (company_id, seq, at, command_id, type, subject, actor, version, data)"
             " SELECT '%s', s.seq - %d + n, %s, gen_random_uuid(), '%s', gen_random_uuid(),"
             " gen_random_uuid(), 1, '{}' FROM s, generate_series(1, %d) AS n",
             count, uuid_text(company), uuid_text(company), count, at, type, count);
}

static void add_events(const struct uuid *company, int count)
{
    add_events_at(company, count, "project.created", "now()");
}

static void join(const struct uuid *company)
{
    run_sqlf("INSERT INTO feed (company_id, pool, seq)"
             " SELECT company_id, '" POOL_NAME "', seq FROM company_sequence WHERE company_id = '%s'",
             uuid_text(company));
}

static int followed_by(const struct uuid *company)
{
    return atoi(ask_sqlf("SELECT count(*) FROM followed WHERE company_id = '%s'", uuid_text(company)));
}

static int64_t cursor_of(const struct uuid *company)
{
    return atoll(ask_sqlf("SELECT seq FROM feed WHERE company_id = '%s'", uuid_text(company)));
}

static int64_t dropped_of(const struct uuid *company)
{
    return atoll(ask_sqlf("SELECT dropped FROM feed WHERE company_id = '%s'", uuid_text(company)));
}

/* Publishes the word of an event, as a worker of another pool does. */
static void say(const struct fed_worker *w, const struct uuid *company, int64_t seq)
{
    struct envelope_scratch scratch;
    struct broker_message message;
    const struct event event = {.command_id = uuid_v7(),
                                .company = *company,
                                .type = SLICE("project.created"),
                                .http_status = 201,
                                .seq = seq,
                                .version = 1,
                                .entity_at = 1,
                                .body = SLICE("{{}}")};
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_OTHERS, &scratch, &message), ERR_OK);
    message.mandatory = false;
    assert_int_equal(broker_publish(w->broker, &message, NULL, NULL), ERR_OK);
}

static int setup(void **state)
{
    engine_setup(state);
    config = (struct config){.database_url = (char *)(uintptr_t)test_url(),
                             .database_role = (char *)(uintptr_t) "cortex_webhooks",
                             .amqp_url = (char *)(uintptr_t)getenv("CORTEX_TEST_AMQP_URL"),
                             .statement_timeout_ms = 10000,
                             .partitions = 8,
                             .feed_look_ms = SOON_MS};
    run_sqlf("CREATE TABLE IF NOT EXISTS followed (company_id uuid, seq bigint, type text)");
    run_sqlf("GRANT SELECT, INSERT ON followed TO cortex_webhooks");
    run_sqlf("DELETE FROM feed");
    return 0;
}

/* ---- the tests ---- */

static void test_feed_when_the_pool_was_away_then_each_event_is_passed_once_from_where_the_company_joined(
    void **state)
{
    struct engine *e = *state;
    struct uuid other = add_company(), stranger = add_company();
    add_events(&e->company, 7);
    join(&e->company);
    join(&other);
    add_events(&e->company, 2500);
    add_events(&other, 1);
    add_events(&stranger, 1);
    struct fed_worker *w = worker_begin(e, &all_partitions);
    eventually(e, cursor_of(&e->company) == 2507 && cursor_of(&other) == 1);
    assert_int_equal(followed_by(&e->company), 2500);
    assert_string_equal(
        ask_sqlf("SELECT min(seq) FROM followed WHERE company_id = '%s'", uuid_text(&e->company)), "8");
    assert_int_equal(followed_by(&other), 1);
    assert_int_equal(followed_by(&stranger), 0);
    assert_int_equal(dropped_of(&e->company), 0);
    worker_end(w);
}

static void test_feed_when_a_word_comes_then_it_passes_without_a_look(void **state)
{
    struct engine *e = *state;
    config.feed_look_ms = NEVER_MS;
    join(&e->company);
    struct fed_worker *w = worker_begin(e, &all_partitions);
    add_events(&e->company, 1);
    eventually(e,
               cursor_of(&e->company) == 1); /* by the hurried walk of the start, and the binding after it */
    for (int seq = 2; seq < 6; seq++) {
        add_events(&e->company, 1);
        eventually(e, (say(w, &e->company, seq), cursor_of(&e->company) == seq));
    }
    assert_int_equal(followed_by(&e->company), 5);
    worker_end(w);
}

static void test_feed_when_a_word_is_lost_then_a_look_finds_its_event(void **state)
{
    struct engine *e = *state;
    join(&e->company);
    struct fed_worker *w = worker_begin(e, &all_partitions);
    eventually(e, w->is_up);
    for (int seq = 1; seq < 9; seq++) { /* the first ones may be found because the worker has just begun */
        add_events(&e->company, 1);
        eventually(e, cursor_of(&e->company) == seq);
    }
    worker_end(w);
}

static void test_feed_when_a_company_joins_then_it_is_passed_without_a_look(void **state)
{
    struct engine *e = *state;
    struct uuid first = add_company();
    config.feed_look_ms = NEVER_MS;
    join(&first);
    add_events(&first, 1);
    struct fed_worker *w = worker_begin(e, &all_partitions);
    eventually(e, cursor_of(&first) == 1);
    join(&e->company);
    add_events(&e->company, 3);
    feed_joined(w->feed, &e->company);
    eventually(e, cursor_of(&e->company) == 3);
    add_events(&e->company, 1);
    eventually(e, (say(w, &e->company, 4), cursor_of(&e->company) == 4));
    worker_end(w);
}

static void test_feed_of_companies_of_other_partitions_then_left_to_their_workers_until_they_are_gained(
    void **state)
{
    struct engine *e = *state;
    struct partition_set set = {.count = 8};
    join(&e->company);
    add_events(&e->company, 1);
    struct fed_worker *w = worker_begin(e, &set);
    struct uuid ours = add_company();
    set.mine = UINT64_C(1) << topology_partition(&ours, 8);
    while (topology_partition(&ours, 8) == topology_partition(&e->company, 8)) {
        ours = add_company();
        set.mine = UINT64_C(1) << topology_partition(&ours, 8);
    }
    join(&ours);
    add_events(&ours, 1);
    eventually(e, cursor_of(&ours) == 1); /* looks have gone by */
    assert_int_equal(cursor_of(&e->company), 0);
    set.mine |= UINT64_C(1) << topology_partition(&e->company, 8);
    feed_gained(w->feed);
    eventually(e, cursor_of(&e->company) == 1);
    set.mine &= ~(UINT64_C(1) << topology_partition(&ours, 8));
    feed_lost(w->feed, topology_partition(&ours, 8));
    add_events(&ours, 1);
    add_events(&e->company, 1);
    eventually(e, cursor_of(&e->company) == 2);
    assert_int_equal(cursor_of(&ours), 1);
    worker_end(w);
}

/* Events whose days are long past, or whose times are not in their order, as after a clock was set. */
static void test_feed_when_events_lie_back_or_their_times_are_not_in_order_then_none_is_missed(void **state)
{
    struct engine *e = *state;
    join(&e->company);
    add_events_at(&e->company, 3, "project.created", "now() - interval '40 days'");
    add_events(&e->company, 2);
    add_events_at(&e->company, 1, "project.created", "now() - interval '3 days'");
    add_events_at(&e->company, 1, "project.created", "now() + interval '20 days'");
    add_events(&e->company, 1);
    struct fed_worker *w = worker_begin(e, &all_partitions);
    eventually(e, cursor_of(&e->company) == 8);
    assert_int_equal(followed_by(&e->company), 8);
    assert_int_equal(dropped_of(&e->company), 0);
    add_events_at(&e->company, 1, "project.created", "now() - interval '5 days'");
    eventually(e, cursor_of(&e->company) == 9);
    assert_int_equal(followed_by(&e->company), 9);
    worker_end(w);
}

static void test_feed_when_events_are_gone_then_it_goes_on_and_counts_them(void **state)
{
    struct engine *e = *state;
    struct uuid empty = add_company();
    join(&e->company);
    join(&empty);
    add_events(&e->company, 10);
    add_events(&empty, 4);
    run_sqlf("DELETE FROM events WHERE company_id = '%s' AND seq IN (1, 2, 3, 7)", uuid_text(&e->company));
    run_sqlf("DELETE FROM events WHERE company_id = '%s'", uuid_text(&empty));
    struct fed_worker *w = worker_begin(e, &all_partitions);
    eventually(e, cursor_of(&e->company) == 10 && cursor_of(&empty) == 4);
    assert_int_equal(followed_by(&e->company), 6);
    assert_int_equal(dropped_of(&e->company), 4);
    assert_int_equal(dropped_of(&empty), 4);
    worker_end(w);
}

static void test_feed_when_a_companys_events_cannot_be_passed_then_the_others_go_on(void **state)
{
    struct engine *e = *state;
    enum { COMPANIES = 9 };
    struct uuid companies[COMPANIES];
    join(&e->company);
    add_events_at(&e->company, 1, "poison", "now()");
    for (int i = 0; i < COMPANIES; i++) {
        companies[i] = add_company();
        join(&companies[i]);
        add_events(&companies[i], 2);
    }
    struct fed_worker *w = worker_begin(e, &all_partitions);
    for (int i = 0; i < COMPANIES; i++)
        eventually(e, cursor_of(&companies[i]) == 2);
    assert_int_equal(cursor_of(&e->company), 0);
    run_sqlf("UPDATE events SET type = 'project.created' WHERE company_id = '%s'", uuid_text(&e->company));
    eventually(e, cursor_of(&e->company) == 1);
    worker_end(w);
}

/* Two workers believe that they have the partitions, and one of them dies again and again. */
static void test_feed_when_two_workers_have_a_company_and_die_then_each_event_is_passed_once(void **state)
{
    struct engine *e = *state;
    enum { ROUNDS = 12, EVENTS = 600 };
    struct uuid other = add_company();
    join(&e->company);
    join(&other);
    struct fed_worker *stays = worker_begin(e, &all_partitions);
    for (int round = 0; round < ROUNDS; round++) {
        struct fed_worker *dies = worker_begin(e, &all_partitions);
        add_events(&e->company, EVENTS);
        add_events(&other, EVENTS);
        for (int i = 0; i < round * 3; i++)
            turn(e);
        worker_end(dies);
        if (round % 4 == 3) {
            worker_end(stays);
            stays = worker_begin(e, &all_partitions);
        }
    }
    int64_t all = ROUNDS * EVENTS;
    eventually(e, cursor_of(&e->company) == all && cursor_of(&other) == all);
    assert_int_equal(followed_by(&e->company), all);
    assert_int_equal(followed_by(&other), all);
    assert_int_equal(dropped_of(&e->company) + dropped_of(&other), 0);
    worker_end(stays);
}

static void test_feed_while_it_is_held_or_drains_then_nothing_is_passed(void **state)
{
    struct engine *e = *state;
    struct uuid seen = add_company();
    join(&e->company);
    struct fed_worker *w = worker_begin(e, &all_partitions);
    feed_hold(w->feed, true);
    eventually(e, w->is_up);
    add_events(&e->company, 1);
    for (int i = 0; i < 20; i++)
        turn(e);
    assert_int_equal(cursor_of(&e->company), 0);
    feed_hold(w->feed, false);
    eventually(e, cursor_of(&e->company) == 1);
    feed_drain(w->feed);
    eventually(e, feed_is_idle(w->feed));
    add_events(&e->company, 1);
    feed_joined(w->feed, &seen);
    for (int i = 0; i < 20; i++)
        turn(e);
    assert_int_equal(cursor_of(&e->company), 1);
    worker_end(w);
}

/* ---- what retention keeps for it ---- */

static bool drop_partition(int days)
{
    return strcmp(ask_sqlf("SELECT events_expire(%d)", days), "t") == 0;
}

static void make_partition(int days_ago)
{
    run_sqlf("DO $do$ DECLARE day date := (now() AT TIME ZONE 'UTC')::date - %d; BEGIN"
             " EXECUTE format('CREATE TABLE events_%%s PARTITION OF events FOR VALUES FROM (%%L) TO (%%L)',"
             " to_char(day, 'YYYYMMDD'), day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME "
             "ZONE 'UTC');"
             " END $do$",
             days_ago);
}

static const char *noon_of(int days_ago)
{
    static char at[128];
    snprintf(at, sizeof(at),
             "(date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')"
             " - interval '%d days' + interval '12 hours'",
             days_ago);
    return at;
}

static bool is_there(int days_ago)
{
    return strcmp(ask_sqlf("SELECT to_regclass('events_' || to_char((now() AT TIME ZONE 'UTC')::date - %d,"
                           " 'YYYYMMDD')) IS NOT NULL",
                           days_ago),
                  "t") == 0;
}

static void test_retention_when_a_feed_has_not_passed_a_partition_then_it_stays_and_others_go(void **state)
{
    struct engine *e = *state;
    make_partition(50);
    make_partition(49);
    add_events_at(&e->company, 1, "project.created", noon_of(49)); /* the feed joins behind it */
    join(&e->company);
    add_events_at(&e->company, 2, "project.created", noon_of(50));
    assert_true(drop_partition(20));
    assert_false(is_there(49));
    assert_false(drop_partition(20));
    assert_true(is_there(50));
    run_sqlf("UPDATE feed SET seq = 3 WHERE company_id = '%s'", uuid_text(&e->company));
    assert_true(drop_partition(20));
    assert_false(is_there(50));
}

static void test_retention_when_a_feed_stays_away_for_its_days_then_what_goes_is_counted(void **state)
{
    struct engine *e = *state;
    make_partition(50);
    join(&e->company);
    add_events_at(&e->company, 5, "project.created", noon_of(50));
    add_events(&e->company, 2);
    assert_string_equal(ask_sqlf("SELECT feed_give_up(60, 1000)"), "0");
    assert_false(drop_partition(20));
    assert_string_equal(ask_sqlf("SELECT feed_give_up(30, 1000)"), "1");
    assert_string_equal(ask_sqlf("SELECT feed_give_up(30, 1000)"), "0");
    assert_true(drop_partition(20));
    assert_int_equal(dropped_of(&e->company), 5);
    assert_int_equal(cursor_of(&e->company), 5);
    run_sqlf("SELECT set_config('cortex.operator', 'on', false)");
    const char *view =
        ask_sqlf("SELECT v->>'companies' || ' ' || (v->>'behind') || ' ' || (v->>'dropped') || ' ' ||"
                 " (v->'dropped_of'->0->>'company') FROM feed_view('" POOL_NAME "') AS v");
    char expected[80];
    snprintf(expected, sizeof(expected), "1 2 5 %s", uuid_text(&e->company));
    assert_string_equal(view, expected);
    run_sqlf("SELECT set_config('cortex.operator', '', false)");
    struct fed_worker *w = worker_begin(e, &all_partitions);
    eventually(e, cursor_of(&e->company) == 7);
    assert_int_equal(followed_by(&e->company), 2);
    worker_end(w);
}

static int migrate(void **state)
{
    (void)state;
    return apply_migrations();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, engine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_feed_when_the_pool_was_away_then_each_event_is_passed_once_from_where_the_company_joined),
        TEST(test_feed_when_a_word_comes_then_it_passes_without_a_look),
        TEST(test_feed_when_a_word_is_lost_then_a_look_finds_its_event),
        TEST(test_feed_when_a_company_joins_then_it_is_passed_without_a_look),
        TEST(test_feed_of_companies_of_other_partitions_then_left_to_their_workers_until_they_are_gained),
        TEST(test_feed_when_events_lie_back_or_their_times_are_not_in_order_then_none_is_missed),
        TEST(test_feed_when_events_are_gone_then_it_goes_on_and_counts_them),
        TEST(test_feed_when_a_companys_events_cannot_be_passed_then_the_others_go_on),
        TEST(test_feed_when_two_workers_have_a_company_and_die_then_each_event_is_passed_once),
        TEST(test_feed_while_it_is_held_or_drains_then_nothing_is_passed),
        TEST(test_retention_when_a_feed_has_not_passed_a_partition_then_it_stays_and_others_go),
        TEST(test_retention_when_a_feed_stays_away_for_its_days_then_what_goes_is_counted),
    };
    return cmocka_run_group_tests(tests, migrate, NULL);
}
