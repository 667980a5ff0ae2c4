/* Parcels over a real broker and a real database: each command of one keeps its own fate. */

#include "tests/unit/workers/engine/worker_process_fixture.h"

#include "common/broker/parcel.h"

enum { ENTRY_HEAD = 5 };

/* A parcel that is being put together. Its commands have the companies' partition in common, or not: the broker does
 * not look into it. */
struct packing {
    struct hall *hall;
    struct buf body;
    size_t count;
};

static struct packing pack(struct hall *hall)
{
    struct packing packing = {.hall = hall};
    char head[PARCEL_HEAD_SIZE] = {0};
    buf_init(&packing.body, 1 << 20);
    buf_append(&packing.body, head, sizeof(head));
    return packing;
}

static struct uuid add_request(struct packing *packing, const struct request *request)
{
    struct buf body;
    buf_init(&body, 1 << 20);
    struct envelope envelope = make_envelope(packing->hall->engine, request, &body);
    envelope.correlation_id = slice_of(uuid_text(&envelope.id));
    envelope.reply_to = slice_of(packing->hall->reply_key);
    assert_int_equal(parcel_add(&packing->body, &envelope), ERR_OK);
    packing->count++;
    buf_done(&body);
    return envelope.id;
}

#define ADD(packing, ...) add_request((packing), &(struct request){__VA_ARGS__})

/* An entry of these octets, whatever they are. */
static void add_octets(struct packing *packing, const char *octets, size_t len)
{
    const char head[ENTRY_HEAD] = {(char)0xc6, 0, 0, 0, (char)len};
    assert_in_range(len, 0, 127);
    buf_append(&packing->body, head, sizeof(head));
    buf_append(&packing->body, octets, len);
    packing->count++;
}

static void send_to(struct packing *packing, struct slice exchange)
{
    struct envelope_scratch scratch;
    struct broker_message message;
    unsigned partition =
        topology_partition(&packing->hall->engine->company, packing->hall->config.partitions);
    parcel_write_head(packing->body.data + packing->body.begin, packing->count);
    assert_int_equal(parcel_write(buf_slice(&packing->body), "projects", partition, &scratch, &message),
                     ERR_OK);
    message.exchange = exchange;
    publish_message(packing->hall, &message);
    buf_done(&packing->body);
}

static void send(struct packing *packing)
{
    send_to(packing, SLICE(EXCHANGE_COMMANDS));
}

/* Dead letters without an address. */
static int dead_letters_of(const char *type, const char *body)
{
    return atoi(ask_sqlf("SELECT count(*) FROM dead_letter WHERE command_id IS NULL AND type = '%s'"
                         " AND encode(body, 'escape') LIKE '%s'",
                         type, body));
}

static void on_seen(void *arg, uint32_t waiting, uint32_t consumers)
{
    (void)consumers;
    *(int *)arg = (int)waiting;
}

/* Nothing is left in the partition of the company: without a worker, what was not acked would be back. */
static bool queue_is_empty(struct hall *hall)
{
    char name[TOPOLOGY_NAME_SIZE];
    int waiting = -1;
    topology_command_queue("projects", topology_partition(&hall->engine->company, hall->config.partitions),
                           name, sizeof(name));
    broker_look_at_queue(hall->broker, name, on_seen, &waiting);
    eventually(hall, waiting >= 0);
    return waiting == 0;
}

static void test_parcel_when_its_commands_have_different_fates_each_meets_its_own(void **state)
{
    struct hall *hall = *state;
    struct packing packing = pack(hall);
    int before = dead_letters_of("unreadable", "no entry");
    struct uuid first = ADD(&packing, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    struct uuid missing =
        ADD(&packing, .type = "task.create", .json = "{\"title\":\"x\"}", .parent = uuid_v7());
    add_octets(&packing, "no entry", 8);
    struct uuid unknown = ADD(&packing, .type = "project.create", .json = "{\"name\":\"Later\"}",
                              .not_before = clock_wall_ms() + 3600000);
    struct uuid last = ADD(&packing, .type = "project.create", .json = "{\"name\":\"Tunnel\"}");
    send(&packing);
    all_confirmed(hall);
    start_worker(hall);
    eventually(hall, reply_to(hall, &first) && reply_to(hall, &missing) && reply_to(hall, &last));
    assert_int_equal(reply_to(hall, &first)->seq, 1);
    assert_int_equal(reply_to(hall, &last)->seq, 2);
    assert_int_not_equal(reply_to(hall, &missing)->status, ERR_OK);
    eventually(hall, dead_letters_of("unreadable", "no entry") ==
                         before + 1); /* that entry alone, with its octets */
    assert_string_equal(ask_sqlf("SELECT count(*) FROM dead_letter WHERE company_id = '%s'",
                                 uuid_text(&hall->engine->company)),
                        "0");
    assert_string_equal(ask_sqlf("SELECT reason FROM deferred WHERE command_id = '%s'", uuid_text(&unknown)),
                        "schedule");
    stop_worker(hall);
    eventually(hall, queue_is_empty(hall));
    run_sqlf("DELETE FROM deferred WHERE company_id = '%s'", uuid_text(&hall->engine->company));
}

static void test_parcel_when_its_frame_is_broken_becomes_one_dead_letter(void **state)
{
    struct hall *hall = *state;
    struct packing packing = pack(hall);
    int before = dead_letters_of("parcel", "%");
    ADD(&packing, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    packing.count = 2; /* a count that lies */
    send(&packing);
    struct uuid next = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Tunnel\"}");
    all_confirmed(hall);
    start_worker(hall);
    eventually(hall, reply_to(hall, &next) && dead_letters_of("parcel", "%") == before + 1);
    assert_int_equal(reply_to(hall, &next)->seq, 1);
}

/* The broker gave the parcel up: what has a result has not died with it. */
static void test_parcel_when_the_broker_gives_it_up_only_commands_without_a_result_become_dead_letters(
    void **state)
{
    struct hall *hall = *state;
    struct packing packing = pack(hall);
    start_worker(hall);
    struct uuid done = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    eventually(hall, reply_to(hall, &done));
    struct uuid lost[2];
    lost[0] = ADD(&packing, .type = "project.create", .json = "{\"name\":\"Tunnel\"}");
    ADD(&packing, .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = done);
    lost[1] = ADD(&packing, .type = "project.create", .json = "{\"name\":\"Road\"}");
    send_to(&packing, SLICE(EXCHANGE_DEAD));
    eventually(hall, is_dead(&lost[0]) && is_dead(&lost[1]));
    assert_false(is_dead(&done));
}

/* A worker that is stopped behind a command's back would be found hanging: the command "kills" its process as the test
 * does it, when the command runs. */
static bool it_runs(void)
{
    return strcmp(ask_sqlf("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                           " AND datname = current_database()"),
                  "0") != 0;
}

static bool all_are_answered(struct hall *hall, const struct uuid *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!reply_to(hall, &ids[i]))
            return false;
    return true;
}

static void test_parcel_when_one_of_its_commands_kills_its_process_the_others_of_it_run(void **state)
{
    struct hall *hall = *state;
    struct packing packing = pack(hall);
    struct uuid companies[PARCEL_ENTRIES_MAX], ids[PARCEL_ENTRIES_MAX];
    enum { KILLER = 41 };
    int deaths = 0;
    for (size_t i = 0; i < PARCEL_ENTRIES_MAX; i++) {
        companies[i] = add_company();
        ids[i] = ADD(&packing, .type = "project.create", .json = "{\"name\":\"X\"}", .company = companies[i]);
    }
    run_sqlf("CREATE OR REPLACE FUNCTION deadly() RETURNS trigger LANGUAGE plpgsql AS"
             " $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$");
    run_sqlf("CREATE TRIGGER deadly BEFORE INSERT ON project FOR EACH ROW WHEN (NEW.company_id = '%s')"
             " EXECUTE FUNCTION deadly()",
             uuid_text(&companies[KILLER]));
    hall->config.statement_timeout_ms = 600000;
    send(&packing);
    all_confirmed(hall);
    for (;;) {
        pid_t pid = fork_worker(hall);
        eventually(hall, it_runs() || is_dead(&ids[KILLER]));
        bool is_over = is_dead(&ids[KILLER]);
        if (is_over)
            eventually(hall, all_are_answered(hall, ids, PARCEL_ENTRIES_MAX));
        kill_worker(pid);
        if (is_over)
            break;
        deaths++;
        run_sqlf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        eventually(hall, !it_runs());
    }
    run_sqlf("DROP TRIGGER deadly ON project");
    assert_int_equal(deaths, 4); /* in a batch, with its parcel, and twice alone */
    for (size_t i = 0; i < PARCEL_ENTRIES_MAX; i++) {
        const struct event *reply = reply_to(hall, &ids[i]);
        assert_non_null(reply);
        assert_int_equal(reply->status == ERR_OK, i != KILLER);
        assert_int_equal(is_dead(&ids[i]), i == KILLER);
        assert_string_equal(
            ask_sqlf("SELECT count(*) FROM project WHERE company_id = '%s'", uuid_text(&companies[i])),
            i == KILLER ? "0" : "1");
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, hall_setup, hall_teardown)

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(test_parcel_when_its_commands_have_different_fates_each_meets_its_own),
        TEST(test_parcel_when_its_frame_is_broken_becomes_one_dead_letter),
        TEST(test_parcel_when_the_broker_gives_it_up_only_commands_without_a_result_become_dead_letters),
        TEST(test_parcel_when_one_of_its_commands_kills_its_process_the_others_of_it_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
