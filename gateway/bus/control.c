#include "gateway/bus/control.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/broker/topology.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/outcome.h"
#include "gateway/bus/pending.h"
#include "gateway/bus/refusals.h"

enum {
    KEY_SIZE = 96,
    /* When the node of a broker is lost, workers and managers are back within a second or two. */
    AGAIN_MS = 250,
    AGAIN_FOR_MS = 2500,
    SILENT_MS = 1500, /* without a reply, before managers are asked again */
};

static const char ADMIN[] = "admin."; /* the key of the workers' queue, before the pool */

/* A request, kept in the arena of its call so that it can be published again. */
struct control_message {
    char key[KEY_SIZE];
    struct slice type, body;
    int64_t sent_s; /* the same however often it is published: it tells workers one request from another */
    int64_t due_ms; /* when the operator has waited long enough */
    int64_t give_up_ms; /* 0: it was never refused */
    enum err refusal;   /* it is to be published again */
};

struct control {
    struct gateway *gateway;
    struct pending_table pending;
};

static struct call *let_go(struct pending *pending)
{
    struct call *call = pending->call;
    pending_let_go(&call->gateway->control->pending, pending);
    return call;
}

static void finish(struct pending *pending, const struct control_answer *answer)
{
    struct call *call = let_go(pending);
    pending->on_answer(call, answer, pending->context);
    pending_release(pending);
}

static void fail(struct pending *pending, enum err err, const char *detail)
{
    finish(pending, &(struct control_answer){.err = err, .detail = detail});
}

void control_answer_call(struct call *call, const struct control_answer *answer, void *context)
{
    (void)context;
    const struct outcome refused = {
        .status = answer->err, .http_status = answer->http_status, .refusal = answer->body};
    if (!answer->body.data)
        call_fail(call, answer->err, answer->detail);
    else if (answer->err)
        outcome_answer(call, &refused);
    else if (answer->http_status == 204)
        call_respond(call, 204, NULL, SLICE_NONE);
    else
        call_respond(call, answer->http_status, "application/json", answer->body);
}

static void on_gone(struct call *call)
{
    struct pending *pending = call->waiter;
    let_go(pending);
    pending_release(pending);
}

static enum err publish(struct control *control, struct pending *pending);

/* What managers are asked may be lost with a node, and so may their replies; it is cheap to ask them again. What workers
 * are asked is kept by its queue: it is sent again only when the replies may have been lost (control_resend). */
static bool is_sent_again(const struct control_message *message)
{
    return strncmp(message->key, ADMIN, sizeof(ADMIN) - 1) != 0;
}

static void wait_for_answer(struct pending *pending)
{
    struct control *control = pending->call->gateway->control;
    const struct control_message *message = pending->message;
    int64_t left = message->due_ms - clock_monotonic_ms();
    if (is_sent_again(message) && left > SILENT_MS)
        left = SILENT_MS;
    deadline_set(&control->pending.deadlines, &pending->deadline, left > 0 ? left : 0);
    enum err err = publish(control, pending);
    if (err)
        fail(pending, err, NULL);
}

/* By its deadline, in a moment: what waits may be answered or let go by then, and so may its neighbours. */
static void resend(struct pending *pending)
{
    struct pending_table *table = &pending->call->gateway->control->pending;
    if (!pending->message->refusal)
        deadline_set(&table->deadlines, &pending->deadline, 0);
}

void control_resend(struct control *control)
{
    pending_each(&control->pending, resend);
}

static void on_due(struct deadline *deadline)
{
    struct pending *pending = CONTAINER_OF(deadline, struct pending, deadline);
    struct control_message *message = pending->message;
    if (message->refusal || clock_monotonic_ms() < message->due_ms) {
        message->refusal = ERR_OK;
        wait_for_answer(pending);
        return;
    }
    fail(pending, ERR_TIMEOUT,
         "no process has answered in time; the request may still be carried out, and it may be sent again");
}

/* A refusal for another reason than a full queue makes the connection anew. */
static void look_why(const struct pending *pending)
{
    struct gateway *gateway = pending->call->gateway;
    struct broker *publisher = commands_publisher(gateway->commands);
    const char *key = pending->message->key;
    char queue[TOPOLOGY_NAME_SIZE];
    if (strncmp(key, ADMIN, sizeof(ADMIN) - 1) != 0)
        return;
    topology_requests_queue(key + sizeof(ADMIN) - 1, queue, sizeof(queue));
    refusals_explain(commands_refusals(gateway->commands), queue,
                     topology_queue_limit(publisher, queue, gateway->config->admin_pending_max), NULL, NULL);
}

/* While a node of the broker is lost, the pool's processes connect to another one: they are given a moment.
 * */
static void refused(struct pending *pending, enum err err)
{
    struct control_message *message = pending->message;
    int64_t now = clock_monotonic_ms();
    if (err == ERR_QUEUE_FULL)
        look_why(pending);
    if (!message->give_up_ms)
        message->give_up_ms = now + AGAIN_FOR_MS;
    if (now + AGAIN_MS > message->give_up_ms || now + AGAIN_MS > message->due_ms) {
        fail(pending, err, err == ERR_UNROUTABLE ? "no process of this pool is running" : NULL);
        return;
    }
    message->refusal = err;
    deadline_set(&pending->call->gateway->control->pending.deadlines, &pending->deadline, AGAIN_MS);
}

static void on_confirm(void *arg, enum err err)
{
    struct pending *pending = arg;
    pending->in_flight--;
    if (!pending->call)
        pending_release(pending);
    else if (err == ERR_UNROUTABLE || err == ERR_QUEUE_FULL)
        refused(pending, err);
    else if (err)
        fail(pending, err, NULL);
}

static enum err status_of(const struct broker_delivery *delivery, int *ret_http_status)
{
    const struct broker_header *slug = broker_delivery_header(delivery, "status");
    const struct broker_header *number = broker_delivery_header(delivery, "http-status");
    bool is_good = number && number->is_integer && number->integer >= 200 && number->integer <= 599;
    *ret_http_status = is_good ? (int)number->integer : 200;
    return slug ? err_from_slug(slug->text.data, slug->text.len) : ERR_OK;
}

bool control_on_reply(struct control *control, const struct broker_delivery *delivery)
{
    struct pending *pending = pending_find(&control->pending, delivery->correlation_id);
    if (!pending)
        return pending_is_of(&control->pending, delivery->correlation_id);
    struct control_answer answer = {.body = delivery->body.data ? delivery->body : SLICE("")};
    answer.err = status_of(delivery, &answer.http_status);
    finish(pending, &answer);
    return true;
}

static enum err publish(struct control *control, struct pending *pending)
{
    const struct control_message *request = pending->message;
    char correlation[PENDING_CORRELATION_SIZE], actor[UUID_TEXT_LEN + 1], company[UUID_TEXT_LEN + 1];
    pending_correlation(&control->pending, pending, correlation);
    uuid_format(&pending->call->identity.user, actor);
    uuid_format(&pending->call->identity.company, company);
    const struct broker_header headers[] = {
        {.name = SLICE("actor"), .text = slice_of(actor)},
        {.name = SLICE("company"), .text = slice_of(company)},
        {.name = SLICE("request-id"), .text = slice_of(pending->call->correlation_id)},
    };
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_CONTROL),
        .routing_key = slice_of(request->key),
        .content_type = SLICE("application/json"),
        .correlation_id = slice_of(correlation),
        .reply_to = slice_of(control->gateway->reply_key),
        .type = request->type,
        .timestamp = request->sent_s,
        .mandatory = true,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = request->body,
    };
    enum err err =
        broker_publish(commands_publisher(control->gateway->commands), &message, on_confirm, pending);
    pending->in_flight += err == ERR_OK;
    return err;
}

static struct control_message *keep_message(struct call *call, const char *key, struct slice type,
                                            struct slice body)
{
    struct control_message *message = arena_calloc(&call->arena, 1, sizeof(*message));
    if (!message)
        return NULL;
    snprintf(message->key, sizeof(message->key), "%s", key);
    message->type = type.data ? arena_copy(&call->arena, type) : SLICE_NONE;
    message->body = arena_copy(&call->arena, body);
    message->sent_s = (int64_t)ev_now(call->gateway->loop);
    message->due_ms = clock_monotonic_ms() + call->gateway->config->admin_wait_ms;
    return message->body.data ? message : NULL;
}

void control_request(struct call *call, const char *key, struct slice type, struct slice body,
                     control_on_answer *on_answer, void *context)
{
    struct control *control = call->gateway->control;
    const struct config *config = call->gateway->config;
    if (control->pending.count >= (size_t)config->admin_pending_max) {
        on_answer(call, &(struct control_answer){.err = ERR_BROKER_BUSY}, context);
        return;
    }
    struct control_message *message = keep_message(call, key, type, body);
    if (!message) {
        on_answer(call, &(struct control_answer){.err = ERR_BODY_TOO_LARGE}, context);
        return;
    }
    struct pending *pending = pending_add(&control->pending, call);
    pending->message = message;
    pending->on_answer = on_answer;
    pending->context = context;
    call->waiter = pending;
    call->on_gone = on_gone;
    wait_for_answer(pending);
}

/* ---- the record ---- */

static void on_act_confirm(void *arg, enum err err)
{
    (void)arg;
    if (err && err != ERR_SHUTTING_DOWN)
        log_warn("operator.act_unrecorded", LOG_S("error", err_info(err)->name));
}

void control_record_act(struct call *call, const struct uuid *id, struct slice act, json_t *request,
                        struct slice outcome)
{
    struct gateway *gateway = call->gateway;
    char texts[3][UUID_TEXT_LEN + 1];
    uuid_format(id, texts[0]);
    uuid_format(&call->identity.user, texts[1]);
    uuid_format(&call->identity.company, texts[2]);
    json_object_set_new(request, "actor", json_string(texts[1]));
    json_object_set_new(request, "operator_company", json_string(texts[2]));
    json_object_set_new(request, "request_id", json_string(call->correlation_id));
    CLEANUP_FREE char *body = json_dumps(request, JSON_COMPACT);
    const struct broker_header headers[] = {{.name = SLICE("outcome"), .text = outcome}};
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_CONTROL),
        .routing_key = SLICE(TOPOLOGY_ACTS_KEY),
        .content_type = SLICE("application/json"),
        .message_id = slice_of(texts[0]),
        .type = act,
        .timestamp = (int64_t)ev_now(gateway->loop),
        .persistent = true,
        .mandatory = true,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = slice_of(body),
    };
    enum err err = broker_publish(commands_publisher(gateway->commands), &message, on_act_confirm, NULL);
    if (err)
        on_act_confirm(NULL, err);
}

struct control *control_new(struct gateway *gateway)
{
    struct control *control = xcalloc(1, sizeof(*control));
    control->gateway = gateway;
    pending_table_init(&control->pending, gateway->loop, (size_t)gateway->config->admin_pending_max, on_due);
    return control;
}

void control_free(struct control *control)
{
    if (!control)
        return;
    pending_table_done(&control->pending);
    free(control);
}
