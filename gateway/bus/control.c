#include "gateway/bus/control.h"

#include "common/broker/topology.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/outcome.h"
#include "gateway/bus/pending.h"

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

static void on_due(struct deadline *deadline)
{
    fail(CONTAINER_OF(deadline, struct pending, deadline), ERR_TIMEOUT,
         "no process has answered in time; the request may still be carried out, and it may be sent again");
}

static void on_confirm(void *arg, enum err err)
{
    struct pending *pending = arg;
    pending->in_flight = false;
    if (!pending->call)
        pending_release(pending);
    else if (err == ERR_UNROUTABLE)
        fail(pending, err, "no process of this pool is running");
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
        return false;
    struct control_answer answer = {.body = delivery->body.data ? delivery->body : SLICE("")};
    answer.err = status_of(delivery, &answer.http_status);
    finish(pending, &answer);
    return true;
}

static enum err publish(struct control *control, struct pending *pending, const char *key, struct slice type,
                        struct slice body)
{
    char correlation[PENDING_CORRELATION_SIZE], actor[UUID_TEXT_LEN + 1];
    pending_correlation(&control->pending, pending, correlation);
    uuid_format(&pending->call->identity.user, actor);
    const struct broker_header headers[] = {{.name = SLICE("actor"), .text = slice_of(actor)}};
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_CONTROL),
        .routing_key = slice_of(key),
        .content_type = SLICE("application/json"),
        .correlation_id = slice_of(correlation),
        .reply_to = slice_of(control->gateway->reply_key),
        .type = type,
        .timestamp = (int64_t)ev_now(control->gateway->loop),
        .mandatory = true,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = body,
    };
    enum err err =
        broker_publish(commands_publisher(control->gateway->commands), &message, on_confirm, pending);
    pending->in_flight = err == ERR_OK;
    return err;
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
    struct pending *pending = pending_add(&control->pending, call);
    pending->on_answer = on_answer;
    pending->context = context;
    call->waiter = pending;
    call->on_gone = on_gone;
    deadline_set(&control->pending.deadlines, &pending->deadline, config->admin_wait_ms);
    enum err err = publish(control, pending, key, type, body);
    if (err)
        fail(pending, err, NULL);
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
