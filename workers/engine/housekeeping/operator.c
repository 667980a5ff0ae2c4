#include "workers/engine/housekeeping/operator.h"

#include <jansson.h>
#include <stdio.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/broker/topology.h"

enum { REQUEST_DEPTH_MAX = 40, WHY_SIZE = 160 };

/* A request between its delivery and its reply. */
struct question {
    struct admin *admin;
    uint64_t tag;
    uint32_t epoch;
    char *ask, *reply_to, *correlation_id;
    struct db_result *result; /* held until the commit */
};

struct admin {
    struct db *db;
    struct broker *broker;
    size_t open;
};

static const struct admin_request *const tables[] = {admin_dead_requests, admin_schedule_requests};

static const struct admin_request *find(struct slice ask)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const struct admin_request *row = tables[i]; row->ask; row++)
            if (slice_is(ask, row->ask))
                return row;
    return NULL;
}

static char *copy(struct slice s)
{
    char *text = xmalloc(s.len + 1);
    if (s.len > 0)
        memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    return text;
}

static void question_free(struct question *q)
{
    q->admin->open--;
    db_result_release(q->result);
    free(q->ask);
    free(q->reply_to);
    free(q->correlation_id);
    free(q);
}

/* A reply that cannot be sent is one that its asker waits for in vain, and asks again. */
static void reply(struct question *q, struct slice status, int64_t http_status, struct slice body)
{
    const struct broker_header headers[] = {
        {.name = SLICE("status"), .text = status},
        {.name = SLICE("http-status"), .is_integer = true, .integer = http_status},
    };
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_EVENTS),
        .routing_key = slice_of(q->reply_to),
        .content_type = SLICE("application/json"),
        .correlation_id = slice_of(q->correlation_id),
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = body.data ? body : SLICE("null"),
    };
    enum err err = q->reply_to[0] ? broker_publish(q->admin->broker, &message, NULL, NULL) : ERR_OK;
    if (err)
        log_warn("admin.unanswered", LOG_S("ask", q->ask), LOG_S("error", err_info(err)->name));
    broker_ack(q->admin->broker, q->epoch, q->tag, false);
    question_free(q);
}

static void command_refuse(struct question *q, enum err err, const char *detail)
{
    json_t *json = detail ? json_pack("{s:s}", "detail", detail) : json_object();
    char *text = json_dumps(json, JSON_COMPACT);
    reply(q, slice_of(err_info(err)->slug), err_info(err)->http_status, slice_of(text));
    free(text);
    json_decref(json);
}

static void on_result(void *arg, struct db_result *result)
{
    struct question *q = arg;
    enum err err = db_result_error(result);
    if (err && err != ERR_SHUTTING_DOWN)
        log_at(err_info(err)->level, "admin.failed", LOG_S("ask", q->ask),
               LOG_S("error", err_info(err)->name), LOG_S("message", db_result_message(result)));
    q->result = db_result_hold(result);
}

static void on_sync(void *arg, enum err err)
{
    struct question *q = arg;
    if (err == ERR_SHUTTING_DOWN) {
        question_free(q); /* unacked: somebody else gets it */
        return;
    }
    if (!err)
        err = db_result_error(q->result);
    if (err || db_rows(q->result) == 0) {
        command_refuse(q, err ? err : ERR_INTERNAL, NULL);
        return;
    }
    log_info("admin.done", LOG_S("ask", q->ask), LOG_B("status", db_text(q->result, 0, 0)));
    reply(q, db_text(q->result, 0, 0), db_int(q->result, 0, 1), db_text(q->result, 0, 2));
}

/* The delivery's body with its actor; NULL when it is not ours. */
static char *request_text(const struct broker_delivery *delivery)
{
    json_t *json = NULL;
    char why[WHY_SIZE], *text = NULL;
    const struct broker_header *actor = broker_delivery_header(delivery, "actor");
    if (json_parse(delivery->body, REQUEST_DEPTH_MAX, &json, why))
        return NULL;
    if (json_is_object(json)) {
        if (actor && actor->text.len > 0)
            json_object_set_new(json, "actor", json_stringn(actor->text.data, actor->text.len));
        text = json_dumps(json, JSON_COMPACT);
    }
    json_decref(json);
    return text;
}

void admin_take(struct admin *admin, const struct broker_delivery *delivery)
{
    struct question *q = xcalloc(1, sizeof(*q));
    *q = (struct question){.admin = admin,
                           .tag = delivery->tag,
                           .epoch = delivery->epoch,
                           .ask = copy(delivery->type),
                           .reply_to = copy(delivery->reply_to),
                           .correlation_id = copy(delivery->correlation_id)};
    admin->open++;
    const struct admin_request *row = find(delivery->type);
    char *text = row ? request_text(delivery) : NULL;
    if (!row)
        command_refuse(q, ERR_NOT_IMPLEMENTED,
                       "this worker does not know the request: it may be older than the gateway");
    else if (!text)
        command_refuse(q, ERR_BAD_REQUEST, "the request cannot be read");
    else if (!db_is_up(admin->db))
        command_refuse(q, ERR_DATABASE_UNAVAILABLE, NULL);
    else {
        const struct slice params[] = {slice_of(text)};
        db_send(admin->db, &row->statement, params, 1, on_result, q);
        db_sync(admin->db, on_sync, q);
    }
    free(text);
}

struct admin *admin_new(struct db *db, struct broker *broker)
{
    struct admin *admin = xcalloc(1, sizeof(*admin));
    admin->db = db;
    admin->broker = broker;
    return admin;
}

void admin_free(struct admin *admin)
{
    free(admin);
}

size_t admin_open(const struct admin *admin)
{
    return admin->open;
}
