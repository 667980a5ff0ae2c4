#include "workers/engine/housekeeping/acts.h"

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/broker/topology.h"
#include "workers/engine/records/dead_letter.h"

enum { PREFETCH = 16, DEPTH_MAX = 16, WHY_SIZE = 160, OUTCOME_MAX = 64 };

static const double AGAIN_S = 1; /* from a failure of the database until the message comes again */

struct acts {
    struct ev_loop *loop;
    struct db *db;
    struct broker *broker;
    struct records records;
    ev_timer again;
    bool is_resting; /* since a failure: what is delivered goes back to the queue after AGAIN_S */
};

/* A message while its row is written. */
struct note {
    struct acts *acts;
    uint64_t tag;
    uint32_t epoch;
    enum err err;
};

/* ---- rows ---- */

/* In whose name: whom the schedule or the dead letter names as its actor. Its row is read before the request
 * changes it. */
#define INSERT_ACT                                                                                       \
    "INSERT INTO operator_act AS a"                                                                      \
    " (id, actor, company_id, act, subject, on_behalf_of, request, correlation_id,"                      \
    " outcome, http_status, answer)"                                                                     \
    " SELECT $1::uuid, (q.r->>'actor')::uuid, (q.r->>'operator_company')::uuid, $2, q.r->>'subject',"    \
    " CASE"                                                                                              \
    " WHEN $2 = 'schedule.put' THEN (q.r->'body'->>'actor')::uuid"                                       \
    " WHEN $2 LIKE 'schedule.%' THEN (SELECT s.actor FROM schedule AS s WHERE s.name = q.r->>'subject')" \
    " WHEN $2 IN ('dead.replay', 'dead.drop')"                                                           \
    " THEN (SELECT d.actor FROM dead_letter_head AS d WHERE d.id = (q.r->>'subject')::uuid)"             \
    " END,"                                                                                              \
    " CASE WHEN jsonb_typeof(q.r->'body') = 'object'"                                                    \
    " THEN (q.r->'body') - ARRAY['body', 'fingerprint', 'slot'] END,"                                    \
    " q.r->>'request_id', $4, $5::smallint, $6::json"                                                    \
    " FROM (SELECT $3::jsonb AS r) AS q"                                                                 \
    " WHERE q.r->>'actor' IS NOT NULL"

static const struct db_statement begin = {"acts.begin", INSERT_ACT};
static const struct db_statement record = {
    "acts.record",
    INSERT_ACT " ON CONFLICT (id) DO UPDATE SET"
               " outcome = EXCLUDED.outcome, http_status = EXCLUDED.http_status, answer = EXCLUDED.answer"
               " WHERE a.outcome = '" OUTCOME_BEGUN "'",
};
static const struct db_statement answer_of = {
    "acts.answer",
    "SELECT outcome, http_status, answer::text FROM operator_act WHERE id = $1::uuid AND http_status IS NOT "
    "NULL",
};

static void send_act(struct db *db, const struct db_statement *statement, const struct act *act,
                     const struct act_outcome *outcome, db_on_result *on_done, void *arg)
{
    char number[DB_NUMBER_SIZE];
    struct slice http_status = outcome->http_status ? db_number(outcome->http_status, number) : SLICE_NONE;
    const struct slice params[] = {act->id,         act->name,   act->request,
                                   outcome->status, http_status, outcome->body};
    db_send(db, statement, params, ARRAY_LEN(params), on_done, arg);
}

void act_begin(struct db *db, const struct act *act, db_on_result *on_done, void *arg)
{
    send_act(db, &begin, act, &(struct act_outcome){.status = SLICE(OUTCOME_BEGUN)}, on_done, arg);
}

bool act_was_begun(const struct db_result *result)
{
    return strcmp(db_result_sqlstate(result), "23505") == 0 || db_result_error(result) == ERR_DATABASE_LOCKED;
}

void act_record(struct db *db, const struct act *act, const struct act_outcome *outcome,
                db_on_result *on_done, void *arg)
{
    send_act(db, &record, act, outcome, on_done, arg);
}

void act_ask_outcome(struct db *db, struct slice id, db_on_result *on_done, void *arg)
{
    db_send(db, &answer_of, &id, 1, on_done, arg);
}

bool act_read_outcome(const struct db_result *result, struct act_outcome *ret_outcome)
{
    if (db_result_error(result) || db_rows(result) == 0)
        return false;
    *ret_outcome = (struct act_outcome){
        .status = db_text(result, 0, 0), .http_status = db_int(result, 0, 1), .body = db_text(result, 0, 2)};
    return true;
}

/* ---- messages ---- */

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct acts *acts = CONTAINER_OF(timer, struct acts, again);
    acts->is_resting = false;
    acts_consume(acts);
}

/* Nothing is delivered for a moment. The messages that were go back to their queue. */
static void rest(struct acts *acts)
{
    if (acts->is_resting)
        return;
    acts->is_resting = true;
    broker_cancel(acts->broker, ACTS_TAG, NULL, NULL);
    ev_timer_set(&acts->again, AGAIN_S, 0);
    ev_timer_start(acts->loop, &acts->again);
}

static void on_recorded(void *arg, struct db_result *result)
{
    struct note *note = arg;
    note->err = db_result_error(result);
    if (note->err && note->err != ERR_SHUTTING_DOWN)
        log_at(err_info(note->err)->level, "acts.failed", LOG_S("error", err_info(note->err)->name),
               LOG_S("message", db_result_message(result)));
}

/* What the database will never take is no act that we have sent. */
static void on_committed(void *arg, enum err err)
{
    CLEANUP_FREE struct note *note = arg;
    err = note->err ? note->err : err;
    if (err == ERR_SHUTTING_DOWN)
        return; /* it is not acked, so another worker gets it */
    if (!err || err_info(err)->fate == FATE_DEAD) {
        broker_ack(note->acts->broker, note->epoch, note->tag, false);
        return;
    }
    broker_reject(note->acts->broker, note->epoch, note->tag, true);
    rest(note->acts);
}

static bool is_act(const struct broker_delivery *delivery, const struct broker_header *outcome)
{
    struct uuid id, actor;
    json_t *json = NULL;
    char why[WHY_SIZE];
    if (!outcome || outcome->is_integer || outcome->text.len == 0 || outcome->text.len > OUTCOME_MAX ||
        delivery->type.len == 0 || !uuid_parse(delivery->message_id, &id) ||
        json_parse_no_nul(delivery->body, DEPTH_MAX, &json, why))
        return false;
    const char *text = json_string_value(json_object_get(json, "actor"));
    bool is_good = text && uuid_parse(slice_of(text), &actor);
    json_decref(json);
    return is_good;
}

/* It is no act that we have sent, so it becomes a dead letter, which has its bytes. */
static void keep_unreadable(struct acts *acts, const struct broker_delivery *delivery, struct note *note)
{
    struct command *command = command_new(delivery);
    log_error("acts.unreadable", LOG_B("id", delivery->message_id));
    command->reading = READING_NOTHING;
    dead_letter_keep(&acts->records, command, SLICE("unreadable"), on_recorded, note);
    command_free(command);
}

void acts_take(struct acts *acts, const struct broker_delivery *delivery)
{
    const struct broker_header *outcome = broker_delivery_header(delivery, "outcome");
    if (!db_is_up(acts->db)) {
        broker_reject(acts->broker, delivery->epoch, delivery->tag, true);
        rest(acts);
        return;
    }
    struct note *note = xcalloc(1, sizeof(*note));
    *note = (struct note){.acts = acts, .tag = delivery->tag, .epoch = delivery->epoch};
    const struct act act = {.id = delivery->message_id, .name = delivery->type, .request = delivery->body};
    if (is_act(delivery, outcome))
        act_record(acts->db, &act, &(struct act_outcome){.status = outcome->text}, on_recorded, note);
    else
        keep_unreadable(acts, delivery, note);
    db_sync(acts->db, on_committed, note);
}

/* ---- the outside ---- */

void acts_consume(struct acts *acts)
{
    if (!acts->is_resting)
        broker_consume(acts->broker, TOPOLOGY_ACTS_QUEUE, ACTS_TAG, PREFETCH, false, false);
}

struct acts *acts_new(struct ev_loop *loop, struct broker *broker, struct db *db, const char *pool)
{
    struct acts *acts = xcalloc(1, sizeof(*acts));
    acts->loop = loop;
    acts->broker = broker;
    acts->db = db;
    records_init(&acts->records, db, pool);
    ev_timer_init(&acts->again, on_again, 0, 0);
    return acts;
}

void acts_free(struct acts *acts)
{
    if (!acts)
        return;
    ev_timer_stop(acts->loop, &acts->again);
    records_done(&acts->records);
    free(acts);
}
