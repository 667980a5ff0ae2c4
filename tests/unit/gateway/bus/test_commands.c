/* Writes over a real broker, with a worker played by the test: replies, refusals, silence. The database is one that nobody
 * runs, so what the inbox would say is left out. CORTEX_AMQP_URL names the broker. */

#include "tests/unit/gateway/http/http_fixture.h"

#include "common/broker/parcel.h"
#include "common/broker/topology.h"
#include "gateway/bus/parcel_readers.h"

enum play { PLAY_SUCCESS, PLAY_DELETED, PLAY_REFUSAL, PLAY_STRANGER, PLAY_SILENCE };

struct worker {
    const struct config *config;
    struct broker *broker;
    enum play play;
    size_t taken, parcels; /* commands, and messages with several */
    struct uuid last_id;
    char traceparent[64];
    char reply_to[64];
    uint64_t fingerprint;
    bool consuming;
};

struct stage {
    struct rig *rig;
    struct worker worker;
};

static const char entity[] = "{\"id\":\"x\",\"name\":\"a\"}";

static void reply(struct worker *worker, const struct envelope *envelope)
{
    struct envelope_scratch scratch;
    struct broker_message message;
    char body[256];
    int at = snprintf(body, sizeof(body), "{\"type\":\"project.created\",\"data\":");
    int len = at + snprintf(body + at, sizeof(body) - (size_t)at, "%s}", entity);
    struct event event = {.command_id = envelope->id,
                          .company = envelope->company,
                          .type = SLICE("project.created"),
                          .http_status = worker->play == PLAY_DELETED ? 204 : 201,
                          .seq = 1,
                          .has_subject = true,
                          .subject = envelope->id,
                          .version = 7,
                          .correlation_id = envelope->correlation_id,
                          .reply_to = envelope->reply_to,
                          .body = {body, (size_t)len},
                          .entity_at = at};
    if (worker->play == PLAY_REFUSAL) {
        event.status = ERR_ILLEGAL_TRANSITION;
        event.http_status = 409;
        event.seq = 0;
        event.body =
            SLICE("{\"detail\":\"not \\\"so\\\"\",\"errors\":[{\"pointer\":\"/status\",\"detail\":\"no\"}]}");
    }
    if (worker->play == PLAY_STRANGER)
        event.correlation_id = SLICE("0123456789abcdef.1.somebody-else");
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_SLOT, &scratch, &message), ERR_OK);
    assert_int_equal(broker_publish(worker->broker, &message, NULL, NULL), ERR_OK);
}

static void take(struct worker *worker, const struct envelope *envelope)
{
    worker->taken++;
    worker->last_id = envelope->id;
    worker->fingerprint = envelope->fingerprint;
    snprintf(worker->traceparent, sizeof(worker->traceparent), "%.*s", (int)envelope->traceparent.len,
             envelope->traceparent.data ? envelope->traceparent.data : "");
    snprintf(worker->reply_to, sizeof(worker->reply_to), "%.*s", (int)envelope->reply_to.len,
             envelope->reply_to.data ? envelope->reply_to.data : "");
    if (worker->play != PLAY_SILENCE && envelope->reply_to.len > 0)
        reply(worker, envelope);
}

static void take_parcel(struct worker *worker, const struct broker_delivery *delivery)
{
    struct envelope envelope;
    struct parcel parcel;
    assert_int_equal(parcel_open(delivery->body, &parcel), ERR_OK);
    assert_in_range(parcel.count, 2, PARCEL_ENTRIES_MAX);
    worker->parcels++;
    while (parcel.count > 0) {
        assert_int_equal(parcel_read_entry(parcel_take(&parcel), &envelope), ERR_OK);
        take(worker, &envelope);
    }
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct worker *worker = ctx;
    struct envelope envelope;
    broker_ack(broker, delivery->epoch, delivery->tag, false);
    if (parcel_is(delivery))
        take_parcel(worker, delivery);
    else if (envelope_read_command(delivery, &envelope) == ERR_OK) /* else left behind by another test */
        take(worker, &envelope);
}

static void on_consuming(void *arg)
{
    ((struct worker *)arg)->consuming = true;
}

static void on_up(void *ctx, struct broker *broker)
{
    const struct config *config = ((struct worker *)ctx)->config;
    topology_declare_all(broker, config);
    for (unsigned partition = 0; partition < config->partitions; partition++) {
        char queue[TOPOLOGY_NAME_SIZE];
        topology_command_queue("projects", partition, queue, sizeof(queue));
        broker_consume(broker, queue, queue, 100, false, false);
    }
    broker_after_declarations(broker, on_consuming, ctx);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    (void)broker;
    (void)why;
    ((struct worker *)ctx)->consuming = false;
}

static int setup(void **state)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_up, .on_down = on_down, .on_delivery = on_delivery};
    const char *url = getenv("CORTEX_TEST_AMQP_URL");
    url = url ? url : getenv("CORTEX_AMQP_URL");
    if (!url || !*url) {
        fprintf(stderr, "CORTEX_AMQP_URL must name a RabbitMQ for this test\n");
        return -1;
    }
    const struct broker_options options = {
        .url = url, .name = "test worker", .unconfirmed_max = 100, .unconfirmed_bytes = 1 << 20};
    struct stage *stage = xcalloc(1, sizeof(*stage));
    CLEANUP_FREE char *kept = xstrdup(url); /* rig_new_with writes into the environment */
    stage->rig = rig_new_with(kept, NOBODY_DATABASE);
    revocations_assume_none(stage->rig->gateway.revocations);
    setenv("CORTEX_AMQP_URL", kept, 1);
    stage->worker.config = &stage->rig->config;
    assert_int_equal(
        broker_new(stage->rig->gateway.loop, &options, &callbacks, &stage->worker, &stage->worker.broker),
        ERR_OK);
    eventually(stage->rig, stage->worker.consuming && commands_ready(stage->rig->gateway.commands) &&
                               events_ready(stage->rig->gateway.events));
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    broker_free(stage->worker.broker);
    rig_free(stage->rig);
    free(stage);
    return 0;
}

static struct reply ask(struct stage *stage, struct client *client, const char *line, const char *more,
                        const char *body)
{
    char text[4096];
    size_t at = 0;
    int len =
        snprintf(text, sizeof(text),
                 "%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s"
                 "Content-Length: %zu\r\n\r\n%s",
                 line, stage->rig->token, more, strlen(body), body);
    buf_clear(&client->read);
    client_send(stage->rig, client, (struct slice){text, (size_t)len}, 65536);
    return await_reply(stage->rig, client, &at);
}

#define CREATE "POST /v1/projects"
#define DELETE "DELETE /v1/projects/00000000-0000-7000-8000-000000000001"
#define NAMED  "{\"name\":\"a\"}"

static void test_create_when_the_worker_succeeds_is_answered_with_the_entity(void **state)
{
    struct stage *stage = *state;
    struct client client = client_open(stage->rig);
    char id[UUID_TEXT_LEN + 1], location[128];
    struct reply answer = ask(stage, &client, CREATE, "", NAMED);
    assert_int_equal(answer.status, 201);
    uuid_format(&stage->worker.last_id, id);
    snprintf(location, sizeof(location), "\r\nLocation: /v1/projects/%s\r\n", id);
    assert_has(answer.head, location);
    assert_has(answer.head, "\r\nETag: \"7\"\r\n");
    assert_has(answer.head, "\r\nContent-Type: application/json\r\n");
    assert_true(slice_is(answer.body, entity));
    assert_string_equal(stage->worker.reply_to, stage->rig->gateway.reply_key);
    client_close(&client);
}

static void test_delete_when_the_worker_succeeds_is_answered_without_a_body(void **state)
{
    struct stage *stage = *state;
    struct client client = client_open(stage->rig);
    stage->worker.play = PLAY_DELETED;
    struct reply answer = ask(stage, &client, DELETE, "If-Match: \"3\"\r\n", "");
    assert_int_equal(answer.status, 204);
    assert_has_not(answer.head, "Content-Length");
    client_close(&client);
}

static void test_refusal_when_replied_becomes_a_problem_with_its_fields(void **state)
{
    struct stage *stage = *state;
    struct client client = client_open(stage->rig);
    stage->worker.play = PLAY_REFUSAL;
    struct reply answer = ask(stage, &client, CREATE, "", NAMED);
    assert_int_equal(answer.status, 409);
    assert_has(answer.body, "\"type\":\"/problems/illegal-transition\"");
    assert_has(answer.body, "\"detail\":\"not \\\"so\\\"\"");
    assert_has(answer.body, "\"errors\":[{\"pointer\":\"/status\",\"detail\":\"no\"}]");
    client_close(&client);
}

static void test_async_when_confirmed_is_accepted_without_a_result(void **state)
{
    struct stage *stage = *state;
    struct client client = client_open(stage->rig);
    char id[UUID_TEXT_LEN + 1], location[128];
    struct reply answer = ask(stage, &client, CREATE, "Prefer: respond-async\r\n", NAMED);
    assert_int_equal(answer.status, 202);
    eventually(stage->rig, stage->worker.taken > 0);
    uuid_format(&stage->worker.last_id, id);
    snprintf(location, sizeof(location), "\r\nLocation: /v1/operations/%s\r\n", id);
    assert_has(answer.head, location);
    assert_has(answer.head, "\r\nPreference-Applied: respond-async\r\n");
    assert_has(answer.body, id);
    assert_string_equal(stage->worker.reply_to, "");
    client_close(&client);
}

static void test_wait_when_it_runs_out_after_the_confirm_is_accepted(void **state)
{
    struct stage *stage = *state;
    struct client client = client_open(stage->rig);
    stage->worker.play = PLAY_SILENCE;
    stage->rig->config.wait_ms = 300;
    struct reply answer = ask(stage, &client, CREATE, "", NAMED);
    assert_int_equal(answer.status, 202);
    assert_has(answer.head, "\r\nLocation: /v1/operations/");
    assert_has_not(answer.head, "Preference-Applied");
    assert_int_equal(commands_waiting(stage->rig->gateway.commands), 0);
    client_close(&client);
}

static void test_reply_when_for_another_process_is_not_taken(void **state)
{
    struct stage *stage = *state;
    struct client client = client_open(stage->rig);
    stage->worker.play = PLAY_STRANGER;
    stage->rig->config.wait_ms = 300;
    assert_int_equal(ask(stage, &client, CREATE, "", NAMED).status, 202);
    client_close(&client);
}

static void test_idempotency_key_when_repeated_makes_the_same_command(void **state)
{
    struct stage *stage = *state;
    struct client client = client_open(stage->rig);
    ask(stage, &client, CREATE, "Idempotency-Key: k\r\n", NAMED);
    struct uuid first = stage->worker.last_id;
    uint64_t fingerprint = stage->worker.fingerprint;
    ask(stage, &client, CREATE, "Idempotency-Key: \"k\"\r\n", " {\"name\" : \"a\"} ");
    assert_true(uuid_equal(&first, &stage->worker.last_id));
    assert_true(fingerprint == stage->worker.fingerprint);
    ask(stage, &client, CREATE, "Idempotency-Key: k\r\n", "{\"name\":\"b\"}");
    assert_true(uuid_equal(&first, &stage->worker.last_id));
    assert_false(fingerprint == stage->worker.fingerprint);
    ask(stage, &client, CREATE, "Idempotency-Key: l\r\n", NAMED);
    assert_false(uuid_equal(&first, &stage->worker.last_id));
    client_close(&client);
}

static void test_traceparent_when_valid_is_passed_on_and_otherwise_dropped(void **state)
{
    struct stage *stage = *state;
    struct client client = client_open(stage->rig);
    ask(stage, &client, CREATE, "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        NAMED);
    assert_string_equal(stage->worker.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    ask(stage, &client, CREATE, "Traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n",
        NAMED);
    assert_string_equal(stage->worker.traceparent, "");
    client_close(&client);
}

/* ---- parcels ---- */

enum { TOGETHER = 8 };

/* What a worker says of itself; reads: that it reads parcels. */
static void announce(struct stage *stage, bool reads)
{
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_CONTROL),
        .routing_key = SLICE("member.projects"),
        .content_type = SLICE("application/json"),
        .body = reads ? SLICE("{\"id\":\"x\",\"slots\":true,\"parcels\":true}")
                      : SLICE("{\"id\":\"y\",\"slots\":true}"),
    };
    assert_int_equal(broker_publish(stage->worker.broker, &message, NULL, NULL), ERR_OK);
}

static bool may_send_parcels(struct stage *stage)
{
    return parcel_readers_are_all(commands_parcel_readers(stage->rig->gateway.commands), "projects");
}

/* Requests of as many clients that arrive in one turn of the loop; each is answered with `status`. */
static void ask_together(struct stage *stage, int status)
{
    struct client clients[TOGETHER];
    char text[4096];
    int len = snprintf(text, sizeof(text),
                       CREATE " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" NAMED,
                       stage->rig->token, strlen(NAMED));
    for (size_t i = 0; i < TOGETHER; i++) {
        clients[i] = client_open(stage->rig);
        assert_int_equal(send(clients[i].fd, text, (size_t)len, 0), len);
    }
    for (size_t i = 0; i < TOGETHER; i++) {
        size_t at = 0;
        assert_int_equal(await_reply(stage->rig, &clients[i], &at).status, status);
        client_close(&clients[i]);
    }
}

static void let_parcels_in(struct stage *stage)
{
    announce(stage, true);
    eventually(stage->rig, may_send_parcels(stage));
}

static void test_commands_when_they_come_together_travel_as_one_only_while_every_worker_reads_parcels(
    void **state)
{
    struct stage *stage = *state;
    ask_together(stage, 201);
    assert_int_equal(stage->worker.parcels, 0); /* no worker has said that it does */
    let_parcels_in(stage);
    ask_together(stage, 201);
    assert_in_range(stage->worker.parcels, 1, TOGETHER / 2);
    assert_int_equal(stage->worker.taken, 2 * TOGETHER);
    size_t parcels = stage->worker.parcels;
    announce(stage, false);
    eventually(stage->rig, !may_send_parcels(stage));
    announce(stage, true); /* one of them does not, all the same */
    ask_together(stage, 201);
    assert_int_equal(stage->worker.parcels, parcels);
}

static void test_parcels_when_the_setting_says_no_are_not_sent(void **state)
{
    struct stage *stage = *state;
    let_parcels_in(stage);
    stage->rig->config.parcels = 0;
    ask_together(stage, 201);
    assert_int_equal(stage->worker.parcels, 0);
}

static void test_parcel_when_it_cannot_be_routed_fails_each_of_its_commands(void **state)
{
    struct stage *stage = *state;
    char queue[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_NAME_SIZE];
    let_parcels_in(stage);
    for (unsigned partition = 0; partition < stage->rig->config.partitions; partition++) {
        topology_command_queue("projects", partition, queue, sizeof(queue));
        snprintf(key, sizeof(key), "projects.%02u.#", partition);
        broker_unbind(stage->worker.broker, queue, EXCHANGE_COMMANDS, key);
    }
    stage->worker.consuming = false;
    broker_after_declarations(stage->worker.broker, on_consuming, &stage->worker);
    eventually(stage->rig, stage->worker.consuming);
    ask_together(stage, err_info(ERR_UNROUTABLE)->http_status);
    assert_int_equal(stage->worker.taken, 0);
    assert_int_equal(commands_waiting(stage->rig->gateway.commands), 0);
    topology_declare_all(stage->worker.broker, &stage->rig->config);
    stage->worker.consuming = false;
    broker_after_declarations(stage->worker.broker, on_consuming, &stage->worker);
    eventually(stage->rig, stage->worker.consuming);
    ask_together(stage, 201);
}

/* A queue that takes one message and then refuses gets the commands, too: the broker nacks what is routed to it. */
static void test_parcel_when_a_queue_refuses_it_fails_each_of_its_commands(void **state)
{
    struct stage *stage = *state;
    const struct broker_header arguments[] = {
        {.name = SLICE("x-max-length"), .is_integer = true, .integer = 1},
        {.name = SLICE("x-overflow"), .text = SLICE("reject-publish")},
    };
    char full[UUID_TEXT_LEN + 1];
    struct uuid name = uuid_v7();
    uuid_format(&name, full);
    let_parcels_in(stage);
    stage->worker.consuming = false;
    broker_declare_queue(
        stage->worker.broker,
        &(struct broker_queue){
            .name = full, .exclusive = true, .arguments = arguments, .argument_count = ARRAY_LEN(arguments)});
    broker_bind(stage->worker.broker, full, EXCHANGE_COMMANDS, "projects.#");
    broker_after_declarations(stage->worker.broker, on_consuming, &stage->worker);
    eventually(stage->rig, stage->worker.consuming);
    struct client client = client_open(stage->rig);
    assert_int_equal(ask(stage, &client, CREATE, "", NAMED).status, 201); /* the queue is full with it */
    client_close(&client);
    int64_t limit = stage->rig->config.queue_max_length;
    stage->rig->config.queue_max_length = 0; /* so the gateway takes any queue for full */
    stage->worker.play = PLAY_SILENCE;
    ask_together(stage, err_info(ERR_QUEUE_FULL)->http_status);
    eventually(stage->rig, stage->worker.parcels > 0); /* the queue of the worker has taken it */
    assert_int_equal(commands_waiting(stage->rig->gateway.commands), 0);
    stage->rig->config.queue_max_length = limit;
    stage->worker.play = PLAY_SUCCESS;
    broker_unbind(stage->worker.broker, full, EXCHANGE_COMMANDS, "projects.#");
    stage->worker.consuming = false;
    broker_after_declarations(stage->worker.broker, on_consuming, &stage->worker);
    eventually(stage->rig, stage->worker.consuming);
    ask_together(stage, 201);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_when_the_worker_succeeds_is_answered_with_the_entity),
        TEST(test_delete_when_the_worker_succeeds_is_answered_without_a_body),
        TEST(test_refusal_when_replied_becomes_a_problem_with_its_fields),
        TEST(test_async_when_confirmed_is_accepted_without_a_result),
        TEST(test_wait_when_it_runs_out_after_the_confirm_is_accepted),
        TEST(test_reply_when_for_another_process_is_not_taken),
        TEST(test_idempotency_key_when_repeated_makes_the_same_command),
        TEST(test_traceparent_when_valid_is_passed_on_and_otherwise_dropped),
        TEST(test_commands_when_they_come_together_travel_as_one_only_while_every_worker_reads_parcels),
        TEST(test_parcels_when_the_setting_says_no_are_not_sent),
        TEST(test_parcel_when_it_cannot_be_routed_fails_each_of_its_commands),
        TEST(test_parcel_when_a_queue_refuses_it_fails_each_of_its_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
