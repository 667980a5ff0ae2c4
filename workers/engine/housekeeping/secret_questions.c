#include "workers/engine/housekeeping/secret_questions.h"

#include <jansson.h>
#include <stdio.h>

#include "common/base/base64url.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/broker/topology.h"

enum {
    DEPTH_MAX = 4,
    WHY_SIZE = 160,
    NAME_SIZE = 96,
    SQL_MAX = 512,
    VALUE_MAX = 64 << 10,
    ANSWER_MAX = 256 << 10
};

/* A resource whose secret can be read. */
struct source {
    const struct msg_resource *resource;
    const struct msg_field *field;
    char name[NAME_SIZE], sql[SQL_MAX];
    struct db_statement statement;
};

struct secret_questions {
    struct db *db;
    struct broker *broker;
    const char *pool;
    const struct secrets *secrets;
    size_t open, count;
    struct source sources[];
};

struct question {
    struct secret_questions *questions;
    const struct source *source;
    struct secret_place place;
    uint8_t key[SEAL_BOX_KEY_SIZE];
    uint64_t tag;
    uint32_t epoch;
    char *reply_to, *correlation_id;
    struct db_result *result;
};

static void question_free(struct question *q)
{
    q->questions->open--;
    db_result_release(q->result);
    free(q->reply_to);
    free(q->correlation_id);
    free(q);
}

static void reply(struct question *q, enum err status, struct slice body)
{
    const struct broker_header headers[] = {
        {.name = SLICE("status"), .text = slice_of(err_info(status)->slug)},
        {.name = SLICE("http-status"), .is_integer = true, .integer = err_info(status)->http_status},
    };
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_EVENTS),
        .routing_key = slice_of(q->reply_to),
        .content_type = SLICE("application/json"),
        .correlation_id = slice_of(q->correlation_id),
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = body,
    };
    enum err err = q->reply_to[0] ? broker_publish(q->questions->broker, &message, NULL, NULL) : ERR_OK;
    if (err)
        log_warn("secrets.unanswered", LOG_S("error", err_info(err)->name));
    broker_ack(q->questions->broker, q->epoch, q->tag, false);
    question_free(q);
}

/* ---- the answer ---- */

/* Appends the value as a JSON string. */
static bool append_value(const struct question *q, struct slice kept, struct buf *out)
{
    struct buf value;
    buf_init(&value, VALUE_MAX);
    bool is_open = secrets_open(q->questions->secrets, q->source->field, &q->place, kept, &value) &&
                   buf_append_json_string(out, buf_slice(&value));
    if (value.data)
        seal_wipe(value.data, value.capacity);
    buf_done(&value);
    return is_open;
}

static bool write_secrets(const struct question *q, struct buf *out)
{
    struct slice now = db_text(q->result, 0, 0), before = db_text(q->result, 0, 1);
    buf_append_text(out, "{\"secret\":");
    bool is_done = append_value(q, now, out);
    buf_append_text(out, before.data ? ",\"previous\":{\"secret\":" : ",\"previous\":null");
    if (before.data) {
        is_done = is_done && append_value(q, before, out);
        buf_append_text(out, ",\"until\":");
        buf_append_json_string(out, db_text(q->result, 0, 2));
        buf_append_char(out, '}');
    }
    buf_append_char(out, '}');
    return is_done && !out->truncated;
}

static void answer(struct question *q)
{
    char context[SEAL_CONTEXT_MAX];
    struct buf secrets;
    CLEANUP(buf_done) struct buf box, body;
    buf_init(&secrets, ANSWER_MAX);
    buf_init(&box, ANSWER_MAX);
    buf_init(&body, 2 * ANSWER_MAX);
    bool is_done = write_secrets(q, &secrets) &&
                   seal_box_close(q->key, secret_context(&q->place, context), buf_slice(&secrets), &box);
    if (secrets.data)
        seal_wipe(secrets.data, secrets.capacity);
    buf_done(&secrets);
    buf_append_text(&body, is_done ? "{\"sealed\":\"" : "{}");
    if (is_done) {
        base64url_append(&body, buf_slice(&box));
        buf_append_text(&body, "\"}");
    } else {
        log_error("secrets.unopened", LOG_S("table", q->place.table), LOG_I("rows", 1));
    }
    reply(q, is_done ? ERR_OK : ERR_INTERNAL, buf_slice(&body));
    buf_done(&box);
}

static void on_result(void *arg, struct db_result *result)
{
    struct question *q = arg;
    enum err err = db_result_error(result);
    if (err && err != ERR_SHUTTING_DOWN)
        log_at(err_info(err)->level, "secrets.question_failed", LOG_S("error", err_info(err)->name),
               LOG_S("message", db_result_message(result)));
    q->result = db_result_hold(result);
}

static void on_sync(void *arg, enum err err)
{
    struct question *q = arg;
    if (err == ERR_SHUTTING_DOWN) {
        question_free(q); /* it is not acked, so the broker gives it to another worker */
        return;
    }
    if (!err)
        err = db_result_error(q->result);
    if (!err && db_rows(q->result) == 0)
        err = ERR_NOT_FOUND;
    if (err)
        reply(q, err, SLICE("{}"));
    else
        answer(q);
}

/* ---- the question ---- */

static const struct source *source_named(const struct secret_questions *questions, const char *name)
{
    for (size_t i = 0; name && i < questions->count; i++)
        if (strcmp(questions->sources[i].resource->name, name) == 0)
            return &questions->sources[i];
    return NULL;
}

static bool read_question(const struct broker_delivery *delivery, struct question *q)
{
    CLEANUP(json_cleanup) json_t *json = NULL;
    char why[WHY_SIZE];
    size_t len = 0;
    struct uuid company, id;
    const struct broker_header *of = broker_delivery_header(delivery, "company");
    if (json_parse(delivery->body, DEPTH_MAX, &json, why) || !of || of->is_integer ||
        !uuid_parse(of->text, &company))
        return false;
    const char *id_text = json_string_value(json_object_get(json, "id"));
    const char *key = json_string_value(json_object_get(json, "key"));
    q->source = source_named(q->questions, json_string_value(json_object_get(json, "resource")));
    if (!q->source || !id_text || !uuid_parse(slice_of(id_text), &id) || !key ||
        !base64url_decode(slice_of(key), (char *)q->key, sizeof(q->key), &len) || len != sizeof(q->key))
        return false;
    q->place = secrets_place(q->source->resource, q->source->field, &company, &id);
    return true;
}

bool secret_questions_take(struct secret_questions *questions, const struct broker_delivery *delivery)
{
    if (!slice_is(delivery->type, "secret.read"))
        return false;
    struct question *q = xcalloc(1, sizeof(*q));
    *q = (struct question){.questions = questions,
                           .tag = delivery->tag,
                           .epoch = delivery->epoch,
                           .reply_to = slice_dup(topology_reply_key(delivery->reply_to)),
                           .correlation_id = slice_dup(delivery->correlation_id)};
    questions->open++;
    if (!read_question(delivery, q)) {
        reply(q, ERR_BAD_REQUEST, SLICE("{\"detail\":\"the question cannot be read\"}"));
    } else if (!db_is_up(questions->db)) {
        reply(q, ERR_DATABASE_UNAVAILABLE, SLICE("{}"));
    } else {
        char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
        uuid_format(&q->place.company, company);
        uuid_format(&q->place.id, id);
        const struct slice params[] = {slice_of(company), slice_of(id)};
        db_send(questions->db, &q->source->statement, params, ARRAY_LEN(params), on_result, q);
        db_sync(questions->db, on_sync, q);
    }
    return true;
}

/* ---- the outside ---- */

static void add_source(struct secret_questions *questions, const struct msg_resource *resource)
{
    const struct msg_field *field = msg_rotating_secret(resource);
    if (!field || strcmp(resource->pool, questions->pool) != 0)
        return;
    struct source *source = &questions->sources[questions->count++];
    const char *column = field->column;
    source->resource = resource;
    source->field = field;
    snprintf(source->name, sizeof(source->name), "secret_questions.%s", resource->name);
    snprintf(source->sql, sizeof(source->sql),
             "SELECT \"%s\", CASE WHEN \"%s_before_until\" > now() THEN \"%s_before\" END,"
             " time_text(\"%s_before_until\") FROM \"%s\" WHERE company_id = $1 AND id = $2",
             column, column, column, column, resource->table);
    source->statement = (struct db_statement){source->name, source->sql};
}

struct secret_questions *secret_questions_new(struct db *db, struct broker *broker, const char *pool,
                                              const struct secrets *secrets)
{
    size_t resources = 0;
    while (msg_resources[resources])
        resources++;
    struct secret_questions *questions = xcalloc(1, sizeof(*questions) + resources * sizeof(struct source));
    questions->db = db;
    questions->broker = broker;
    questions->pool = pool;
    questions->secrets = secrets;
    for (size_t i = 0; i < resources; i++)
        add_source(questions, msg_resources[i]);
    return questions;
}

void secret_questions_free(struct secret_questions *questions)
{
    free(questions);
}

size_t secret_questions_open(const struct secret_questions *questions)
{
    return questions->open;
}
