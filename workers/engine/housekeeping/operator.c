#include "workers/engine/housekeeping/operator.h"

#include <jansson.h>
#include <stdio.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/broker/topology.h"
#include "workers/engine/housekeeping/acts.h"

enum { REQUEST_DEPTH_MAX = 40, WHY_SIZE = 160 };

/* Between two looks for the outcome of a request that was begun before, and how often. Who has begun it is in the middle
 * of it, or has ended between its two transactions. */
static const double LOOK_AGAIN_S = 0.1;
enum { LOOKS = 20 };

/* A request between its delivery and its reply. */
struct open_request {
    struct operator* operator;
    uint64_t tag;
    uint32_t epoch;
    char *name, *reply_to, *correlation_id;
    char *text;                  /* of the request */
    char act[UUID_TEXT_LEN + 1]; /* its record (acts.h) */
    struct act_outcome outcome;  /* it points into `result` or `refusal`, or is constant */
    char *refusal;               /* its body */
    struct db_result *result;    /* held until the commit */
    bool was_begun;              /* before, so its outcome is looked for */
    unsigned looks;
    ev_timer look;
    struct open_request *next, **link; /* in `looking`; link: NULL when it is not there */
};

struct operator
{
    struct ev_loop *loop;
    struct db *db;
    struct broker *broker;
    size_t open;
    struct open_request *looking; /* those that wait for their next look */
};

static const struct operator_request *const tables[] = {operator_dead_requests, operator_schedule_requests};

static const struct operator_request *find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const struct operator_request *row = tables[i]; row->name; row++)
            if (slice_is(name, row->name))
                return row;
    return NULL;
}

static void stop_waiting(struct open_request *request)
{
    if (!request->link)
        return;
    ev_timer_stop(request->operator->loop, &request->look);
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
    request->link = NULL;
}

static void request_free(struct open_request *request)
{
    request->operator->open--;
    stop_waiting(request);
    db_result_release(request->result);
    free(request->name);
    free(request->reply_to);
    free(request->correlation_id);
    free(request->text);
    free(request->refusal);
    free(request);
}

/* When the reply cannot be sent, the operator's request times out in the gateway, and the operator sends it
 * again. */
static void reply(struct open_request *request)
{
    const struct slice body = request->outcome.body;
    const struct broker_header headers[] = {
        {.name = SLICE("status"), .text = request->outcome.status},
        {.name = SLICE("http-status"), .is_integer = true, .integer = request->outcome.http_status},
    };
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_EVENTS),
        .routing_key = slice_of(request->reply_to),
        .content_type = SLICE("application/json"),
        .correlation_id = slice_of(request->correlation_id),
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = body.data ? body : SLICE("null"),
    };
    enum err err =
        request->reply_to[0] ? broker_publish(request->operator->broker, &message, NULL, NULL) : ERR_OK;
    if (err)
        log_warn("operator.unanswered", LOG_S("request", request->name), LOG_S("error", err_info(err)->name));
    broker_ack(request->operator->broker, request->epoch, request->tag, false);
    request_free(request);
}

/* ---- the record ---- */

static struct act act_of(const struct open_request *request)
{
    return (struct act){
        .id = slice_of(request->act), .name = slice_of(request->name), .request = slice_of(request->text)};
}

static void on_noted(void *arg, struct db_result *result)
{
    const struct open_request *request = arg;
    enum err err = db_result_error(result);
    if (err && err != ERR_SHUTTING_DOWN)
        log_at(err_info(err)->level, "operator.act_unrecorded", LOG_S("request", request->name),
               LOG_S("act", request->act), LOG_S("error", err_info(err)->name),
               LOG_S("message", db_result_message(result)));
}

static void on_outcome_kept(void *arg, enum err err)
{
    if (err == ERR_SHUTTING_DOWN)
        request_free(arg);
    else
        reply(arg);
}

/* The reply waits for the record, as far as there is one to be had. */
static void end(struct open_request *request)
{
    if (!request->text || !db_is_up(request->operator->db)) {
        reply(request);
        return;
    }
    const struct act act = act_of(request);
    act_record(request->operator->db, &act, &request->outcome, on_noted, request);
    db_sync(request->operator->db, on_outcome_kept, request);
}

static void set_refusal(struct open_request *request, enum err err, const char *detail)
{
    json_t *json = detail ? json_pack("{s:s}", "detail", detail) : json_object();
    request->refusal = json_dumps(json, JSON_COMPACT);
    request->outcome.status = slice_of(err_info(err)->slug);
    request->outcome.http_status = err_info(err)->http_status;
    request->outcome.body = slice_of(request->refusal);
    json_decref(json);
}

static void refuse_request(struct open_request *request, enum err err, const char *detail)
{
    set_refusal(request, err, detail);
    end(request);
}

/* ---- a request that was begun before ---- */

static void look(struct open_request *request);

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct open_request *request = CONTAINER_OF(timer, struct open_request, look);
    stop_waiting(request);
    look(request);
}

static void look_again(struct open_request *request)
{
    struct operator* operator= request->operator;
    ev_timer_init(&request->look, on_look, LOOK_AGAIN_S, 0);
    ev_timer_start(operator->loop, &request->look);
    request->next = operator->looking;
    if (request->next)
        request->next->link = &request->next;
    request->link = &operator->looking;
    operator->looking = request;
}

static void on_outcome(void *arg, struct db_result *result)
{
    struct open_request *request = arg;
    db_result_release(request->result);
    request->result = db_result_hold(result);
}

static void on_looked(void *arg, enum err err)
{
    struct open_request *request = arg;
    if (err == ERR_SHUTTING_DOWN)
        request_free(request);
    else if (err == ERR_OK && act_read_outcome(request->result, &request->outcome)) {
        log_info("operator.answered_again", LOG_S("request", request->name), LOG_S("act", request->act));
        reply(request);
    } else if (++request->looks < LOOKS)
        look_again(request);
    else {
        set_refusal(request, ERR_TIMEOUT,
                    "the request has been sent twice, and the process that has carried it out has not said "
                    "how it ended; "
                    "it may be sent again");
        reply(request);
    }
}

static void look(struct open_request *request)
{
    act_ask_outcome(request->operator->db, slice_of(request->act), on_outcome, request);
    db_sync(request->operator->db, on_looked, request);
}

/* ---- the request ---- */

static void on_begun(void *arg, struct db_result *result)
{
    struct open_request *request = arg;
    request->was_begun = act_was_begun(result);
    if (!request->was_begun)
        on_noted(arg, result);
}

static void on_result(void *arg, struct db_result *result)
{
    struct open_request *request = arg;
    enum err err = db_result_error(result);
    if (err && err != ERR_SHUTTING_DOWN)
        log_at(err_info(err)->level, "operator.failed", LOG_S("request", request->name),
               LOG_S("error", err_info(err)->name), LOG_S("message", db_result_message(result)));
    request->result = db_result_hold(result);
}

static void on_sync(void *arg, enum err err)
{
    struct open_request *request = arg;
    if (err == ERR_SHUTTING_DOWN) {
        request_free(request); /* it is not acked, so the broker gives it to another worker */
        return;
    }
    if (request->was_begun) {
        look(request);
        return;
    }
    if (!err)
        err = db_result_error(request->result);
    if (err || db_rows(request->result) == 0) {
        refuse_request(request, err ? err : ERR_INTERNAL, NULL);
        return;
    }
    log_info("operator.done", LOG_S("request", request->name),
             LOG_B("status", db_text(request->result, 0, 0)));
    request->outcome.status = db_text(request->result, 0, 0);
    request->outcome.http_status = db_int(request->result, 0, 1);
    request->outcome.body = db_text(request->result, 0, 2);
    end(request);
}

/* The body of the delivery with what its headers say in it: who asks, of which company, and the id by which the
 * request is named in logs. NULL when it is no JSON object. */
static char *request_text(const struct broker_delivery *delivery)
{
    static const struct {
        const char *header, *member;
    } names[] = {{"actor", "actor"}, {"company", "operator_company"}, {"request-id", "request_id"}};
    json_t *json = NULL;
    char why[WHY_SIZE], *text = NULL;
    if (json_parse(delivery->body, REQUEST_DEPTH_MAX, &json, why))
        return NULL;
    for (size_t i = 0; json_is_object(json) && i < ARRAY_LEN(names); i++) {
        const struct broker_header *header = broker_delivery_header(delivery, names[i].header);
        if (header && header->text.len > 0)
            json_object_set_new(json, names[i].member, json_stringn(header->text.data, header->text.len));
    }
    if (json_is_object(json))
        text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* A request that the broker delivers again has the same record. */
static void name_act(struct open_request *request, const struct broker_delivery *delivery)
{
    char sent[24];
    int len = snprintf(sent, sizeof(sent), "%lld", (long long)delivery->timestamp);
    const struct slice parts[] = {
        SLICE("act"), delivery->reply_to, delivery->correlation_id, {sent, (size_t)len}};
    struct uuid id = uuid_derive(parts, ARRAY_LEN(parts));
    uuid_format(&id, request->act);
}

void operator_take(struct operator* operator, const struct broker_delivery * delivery)
{
    struct open_request *request = xcalloc(1, sizeof(*request));
    *request = (struct open_request){.operator= operator,
                                     .tag = delivery->tag,
                                     .epoch = delivery->epoch,
                                     .name = slice_dup(delivery->type),
                                     .reply_to = slice_dup(topology_reply_key(delivery->reply_to)),
                                     .correlation_id = slice_dup(delivery->correlation_id)};
    operator->open++;
    const struct operator_request *row = find(delivery->type);
    char *text = row ? request_text(delivery) : NULL;
    name_act(request, delivery);
    if (!row)
        refuse_request(request, ERR_NOT_IMPLEMENTED,
                       "this worker does not know the request: it may be older than the gateway");
    else if (!text)
        refuse_request(request, ERR_BAD_REQUEST, "the request cannot be read");
    else if (!db_is_up(operator->db))
        refuse_request(request, ERR_DATABASE_UNAVAILABLE, NULL);
    else {
        const struct slice params[] = {slice_of(text)};
        request->text = TAKE(text);
        const struct act act = act_of(request);
        act_begin(operator->db, &act, on_begun, request);
        db_send(operator->db, &row->statement, params, 1, on_result, request);
        db_sync(operator->db, on_sync, request);
    }
    free(text);
}

struct operator* operator_new(struct ev_loop *loop, struct db *db, struct broker *broker)
{
    struct operator* operator= xcalloc(1, sizeof(*operator));
    operator->loop = loop;
    operator->db = db;
    operator->broker = broker;
    return operator;
}

void operator_free(struct operator* operator)
{
    while (operator&& operator->looking)
        request_free(operator->looking);
    free(operator);
}

size_t operator_open(const struct operator* operator)
{
    return operator->open;
}
