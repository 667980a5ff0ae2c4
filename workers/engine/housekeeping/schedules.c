#include "workers/engine/housekeeping/schedules.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/process/host.h"

enum {
    NAME_SIZE = 65,
    DUE_MAX = 64, /* rows of one look */
};

static const double STEP_S = 0.2; /* between two steps of the same work, as in STEP below */

/* ---- the statements ---- */

static const struct db_statement look = {
    "schedules.look",
    "SELECT name, id, company_id IS NULL, type, cron, timezone, version,"
    " time_text(next_at), time_text(asked_at), run_at IS NOT NULL,"
    " floor(extract(epoch FROM coalesce(asked_at, next_at)))::bigint,"
    " floor(extract(epoch FROM now()))::bigint"
    " FROM schedule"
    " WHERE step_at <= now()"
    " AND (run_at IS NOT NULL OR asked_at IS NOT NULL OR (enabled AND next_at <= now()))"
    " ORDER BY coalesce(asked_at, next_at), name"
    " LIMIT $1::integer",
};

enum {
    ROW_NAME,
    ROW_ID,
    ROW_IS_WORK,
    ROW_TYPE,
    ROW_CRON,
    ROW_ZONE,
    ROW_VERSION,
    ROW_NEXT_AT,
    ROW_ASKED_AT,
    ROW_IS_AT_WORK,
    ROW_PLANNED,
    ROW_NOW
};

/* $1 name, $2 version, $3 next_at, $4 asked_at: all as they were read. $5: the next_at that follows. $6: this
 * process. */
#define CLAIM                                             \
    "UPDATE schedule SET"                                 \
    " next_at = $5::timestamptz,"                         \
    " asked_at = NULL,"                                   \
    " last_asked_at = coalesce(asked_at, last_asked_at)," \
    " last_at = coalesce(asked_at, next_at),"             \
    " last_begun_at = clock_timestamp(),"                 \
    " last_ended_at = NULL,"                              \
    " last_by = $6,"                                      \
    " last_error = NULL,"                                 \
    " runs = runs + 1"
/* A row that another transaction holds is passed over: nobody waits for it, and the next look finds it. */
#define AS_READ                                          \
    " WHERE name = (SELECT name FROM schedule"           \
    " WHERE name = $1"                                   \
    " AND version = $2::bigint"                          \
    " AND run_at IS NULL"                                \
    " AND next_at IS NOT DISTINCT FROM $3::timestamptz"  \
    " AND asked_at IS NOT DISTINCT FROM $4::timestamptz" \
    " FOR UPDATE SKIP LOCKED)"

/* Its `sent` is the time at which the schedule was last put: since then nobody has asked whether the actor was
 * revoked. */
static const struct db_statement claim_command = {
    "schedules.claim_command",
    "WITH claimed AS (" CLAIM ", last_command = $7::uuid" AS_READ " RETURNING *),"
    " waiting AS ("
    " INSERT INTO deferred"
    " (company_id, command_id, pool, slot, reason, due_at, type, actor,"
    " role, subject, parent, fingerprint, sent, body)"
    " SELECT company_id, last_command, pool, slot, 'schedule', last_at, type, actor,"
    " role, subject, parent, fingerprint, floor(extract(epoch FROM updated_at))::bigint, body"
    " FROM claimed"
    " ON CONFLICT DO NOTHING)"
    " SELECT 1 FROM claimed",
};

static const struct db_statement claim_work = {
    "schedules.claim_work",
    CLAIM ", run_at = coalesce(asked_at, next_at), step_at = now()" AS_READ " RETURNING 1",
};

/* The schedule is left alone for ten seconds; then any process may try again. */
static const struct db_statement note_failure = {
    "schedules.note_failure",
    "UPDATE schedule SET last_error = $2, step_at = now() + interval '10 s'"
    " WHERE name = (SELECT name FROM schedule WHERE name = $1 FOR UPDATE SKIP LOCKED)",
};

/* A process that finds the row locked does nothing: another one is doing the step. */
#define STEP(sql)                                                         \
    "WITH turn AS MATERIALIZED ("                                         \
    " SELECT name FROM schedule"                                          \
    " WHERE name = $1 AND run_at IS NOT NULL AND step_at <= now()"        \
    " FOR UPDATE SKIP LOCKED),"                                           \
    " step AS MATERIALIZED (SELECT name, (" sql ") AS is_more FROM turn)" \
    " UPDATE schedule AS s SET"                                           \
    " run_at = CASE WHEN is_more THEN s.run_at END,"                      \
    " last_error = NULL,"                                                 \
    " step_at = now() + interval '200 ms',"                               \
    " last_ended_at = CASE WHEN NOT is_more THEN clock_timestamp() END"   \
    " FROM step"                                                          \
    " WHERE s.name = step.name"                                           \
    " RETURNING is_more"

/* ---- the system's work ---- */

static const struct {
    const char *type;
    struct db_statement step;
} works[] = {
#define SYSTEM_WORK(type, value, sql) {type, {"schedules." type, STEP(sql)}},
#include "workers/engine/housekeeping/system_work.def"
#undef SYSTEM_WORK
};

enum { WORKS = ARRAY_LEN(works) };

struct schedules {
    struct ev_loop *loop;
    struct db *db;
    const struct config *config;
    char by[HOST_PROCESS_SIZE];
    char values[WORKS][DB_NUMBER_SIZE]; /* $2 of each */
    ev_timer poll;
    double next_s; /* until the next look */
    size_t open;   /* statements without an answer */
    bool is_draining;
};

/* A statement about one schedule. */
struct turn {
    struct schedules *schedules;
    char name[NAME_SIZE];
    int64_t planned_s;
    bool is_claim;
    enum err err;
};

static int find_work(struct slice type)
{
    for (int i = 0; i < WORKS; i++)
        if (slice_is(type, works[i].type))
            return i;
    return -1;
}

/* ---- turns ---- */

static void look_in(struct schedules *s, double seconds)
{
    if (seconds < s->next_s)
        s->next_s = seconds;
}

static double poll_s(const struct schedules *s)
{
    return (double)s->config->schedule_poll_ms / 1000 * (0.8 + (double)arc4random_uniform(400) / 1000);
}

static void close_one(struct schedules *s)
{
    if (--s->open > 0 || s->is_draining)
        return;
    ev_timer_set(&s->poll, s->next_s, 0);
    ev_timer_start(s->loop, &s->poll);
}

static void on_result(void *arg, struct db_result *result)
{
    struct turn *turn = arg;
    struct schedules *s = turn->schedules;
    turn->err = db_result_error(result);
    if (turn->err) {
        if (turn->err != ERR_SHUTTING_DOWN)
            log_at(err_info(turn->err)->level, "schedule.failed", LOG_S("schedule", turn->name),
                   LOG_S("error", err_info(turn->err)->name), LOG_S("message", db_result_message(result)));
    } else if (db_rows(result) == 0) {
        log_debug("schedule.taken", LOG_S("schedule", turn->name));
    } else if (turn->is_claim) {
        log_info("schedule.begun", LOG_S("schedule", turn->name), LOG_I("planned", turn->planned_s));
        look_in(s, 0);
    } else if (slice_is(db_text(result, 0, 0), "t")) {
        look_in(s, STEP_S);
    } else {
        log_info("schedule.ended", LOG_S("schedule", turn->name));
    }
}

static void on_noted(void *arg, enum err err)
{
    (void)err; /* the next look comes all the same */
    close_one(arg);
}

static void put_off(struct schedules *s, struct slice name, enum err err)
{
    const struct slice params[] = {name, slice_of(err_info(err)->slug)};
    s->open++;
    db_send(s->db, &note_failure, params, ARRAY_LEN(params), NULL, NULL);
    db_sync(s->db, on_noted, s);
}

static void on_sync(void *arg, enum err err)
{
    CLEANUP_FREE struct turn *turn = arg;
    struct schedules *s = turn->schedules;
    err = turn->err ? turn->err : err;
    if (err && db_is_up(s->db))
        put_off(s, slice_of(turn->name), err);
    close_one(s);
}

static void send(struct schedules *s, const struct db_result *row_of, int row,
                 const struct db_statement *statement, const struct slice *params, size_t count,
                 bool is_claim)
{
    struct turn *turn = xcalloc(1, sizeof(*turn));
    struct slice name = db_text(row_of, row, ROW_NAME);
    turn->schedules = s;
    turn->is_claim = is_claim;
    turn->planned_s = db_int(row_of, row, ROW_PLANNED);
    snprintf(turn->name, sizeof(turn->name), "%.*s", (int)name.len, name.data);
    s->open++;
    db_send(s->db, statement, params, count, on_result, turn);
    db_sync(s->db, on_sync, turn);
}

/* ---- claiming ---- */

int64_t schedule_next(const struct cron *cron, const struct time_zone *zone, int64_t planned_s, int64_t now_s,
                      int64_t late_s)
{
    return cron_next(cron, zone, planned_s > now_s - late_s ? planned_s : now_s - late_s);
}

/* False when this process cannot read the expression or does not know the zone. */
static bool find_next(const struct schedules *s, const struct db_result *result, int row,
                      char text[CLOCK_TEXT_SIZE])
{
    struct cron cron;
    struct time_zone *zone = NULL;
    char why[CRON_WHY_SIZE] = "there is no such time zone";
    if (cron_parse(db_text(result, row, ROW_CRON), &cron, why) ||
        time_zone_open(db_text(result, row, ROW_ZONE), &zone)) {
        log_error("schedule.unreadable", LOG_B("schedule", db_text(result, row, ROW_NAME)),
                  LOG_S("why", why));
        return false;
    }
    int64_t next = schedule_next(&cron, zone, db_int(result, row, ROW_PLANNED), db_int(result, row, ROW_NOW),
                                 s->config->schedule_late_ms / 1000);
    time_zone_free(zone);
    text[0] = '\0'; /* it never comes again */
    if (next != INT64_MAX)
        clock_format(next * 1000000, text);
    return true;
}

/* Every process that claims this time derives the same id. */
static void derive_command(const struct db_result *result, int row, bool is_asked,
                           char text[UUID_TEXT_LEN + 1])
{
    const struct slice parts[] = {
        SLICE("schedule"),
        db_text(result, row, ROW_ID),
        db_text(result, row, is_asked ? ROW_ASKED_AT : ROW_NEXT_AT),
    };
    struct uuid id = uuid_derive(parts, ARRAY_LEN(parts));
    uuid_format(&id, text);
}

static void claim(struct schedules *s, const struct db_result *result, int row)
{
    char next[CLOCK_TEXT_SIZE], command[UUID_TEXT_LEN + 1];
    struct slice asked_at = db_text(result, row, ROW_ASKED_AT), next_at = db_text(result, row, ROW_NEXT_AT);
    bool is_work = slice_is(db_text(result, row, ROW_IS_WORK), "t");
    struct slice following = next_at; /* a run that an operator asked for does not move the next time */
    if (!asked_at.data) {
        if (!find_next(s, result, row, next)) {
            put_off(s, db_text(result, row, ROW_NAME), ERR_VALIDATION);
            return;
        }
        following = next[0] ? slice_of(next) : SLICE_NONE;
    }
    derive_command(result, row, asked_at.data != NULL, command);
    const struct slice params[] = {db_text(result, row, ROW_NAME),
                                   db_text(result, row, ROW_VERSION),
                                   next_at,
                                   asked_at,
                                   following,
                                   slice_of(s->by),
                                   slice_of(command)};
    send(s, result, row, is_work ? &claim_work : &claim_command, params, ARRAY_LEN(params) - is_work, true);
}

static void step(struct schedules *s, const struct db_result *result, int row)
{
    int work = find_work(db_text(result, row, ROW_TYPE));
    if (work < 0) {
        log_debug("schedule.unknown_work",
                  LOG_B("type", db_text(result, row, ROW_TYPE))); /* a newer process knows it */
        return;
    }
    const struct slice params[] = {db_text(result, row, ROW_NAME), slice_of(s->values[work])};
    send(s, result, row, &works[work].step, params, ARRAY_LEN(params), false);
}

/* ---- looking ---- */

static void on_due(void *arg, struct db_result *result)
{
    struct schedules *s = arg;
    enum err err = db_result_error(result);
    if (err && err != ERR_SHUTTING_DOWN)
        log_warn("schedules.failed", LOG_S("error", err_info(err)->name),
                 LOG_S("message", db_result_message(result)));
    if (err || s->is_draining)
        return;
    for (int row = 0; row < db_rows(result); row++)
        if (slice_is(db_text(result, row, ROW_IS_AT_WORK), "t"))
            step(s, result, row);
        else
            claim(s, result, row);
}

static void on_looked(void *arg, enum err err)
{
    (void)err;
    close_one(arg);
}

static void on_poll(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct schedules *s = CONTAINER_OF(timer, struct schedules, poll);
    char most[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(DUE_MAX, most)};
    s->next_s = poll_s(s);
    if (!db_is_up(s->db)) {
        ev_timer_set(&s->poll, s->next_s, 0);
        ev_timer_start(s->loop, &s->poll);
        return;
    }
    s->open++;
    db_send(s->db, &look, params, 1, on_due, s);
    db_sync(s->db, on_looked, s);
}

/* ---- the outside ---- */

static void take_values(struct schedules *s, const struct config *config)
{
    const int64_t values[] = {
#define SYSTEM_WORK(type, value, sql) value,
#include "workers/engine/housekeeping/system_work.def"
#undef SYSTEM_WORK
    };
    for (size_t i = 0; i < WORKS; i++)
        db_number(values[i], s->values[i]);
}

struct schedules *schedules_new(struct ev_loop *loop, struct db *db, const struct config *config)
{
    struct schedules *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->db = db;
    s->config = config;
    host_process(s->by);
    take_values(s, config);
    ev_timer_init(&s->poll, on_poll, 0, 0);
    ev_timer_start(loop, &s->poll);
    return s;
}

void schedules_free(struct schedules *s)
{
    if (!s)
        return;
    ev_timer_stop(s->loop, &s->poll);
    free(s);
}

void schedules_drain(struct schedules *s)
{
    s->is_draining = true;
    ev_timer_stop(s->loop, &s->poll);
}

bool schedules_is_idle(const struct schedules *s)
{
    return s->open == 0;
}
