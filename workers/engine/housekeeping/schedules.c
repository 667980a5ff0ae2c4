#include "workers/engine/housekeeping/schedules.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/db/pg_rows.h"
#include "common/process/host.h"
#include "common/process/rhythm.h"

enum {
    NAME_SIZE = 65,
    TAKEN_MAX = 512, /* schedules that are claimed at a time */
    LOGGED_MAX = 16, /* of these, as many have a line of their own in the log */
    CLAIM_COLUMNS = 3,
    COLUMN_BYTES_MAX = 1 << 20,
};

static const double STEP_S = 0.2; /* between two steps of the same work, as in STEP below */

/* ---- the statements ---- */

/* Reads one entry of the index schedule_due: the milliseconds until the first schedule is due. */
static const struct db_statement probe = {
    "schedules.probe",
    "SELECT ceil(extract(epoch FROM min(due_at) - now()) * 1000)::bigint FROM schedule",
};

/* Locks what is due and what no other process has locked. */
static const struct db_statement take_due = {
    "schedules.take",
    "SELECT name, id, company_id IS NULL, type, cron, timezone,"
    " time_text(next_at), time_text(asked_at), run_at IS NOT NULL,"
    " floor(extract(epoch FROM coalesce(asked_at, next_at)))::bigint,"
    " floor(extract(epoch FROM now()))::bigint"
    " FROM schedule"
    " WHERE due_at <= now()"
    " ORDER BY due_at, name"
    " LIMIT $1::integer"
    " FOR UPDATE SKIP LOCKED",
};

enum {
    ROW_NAME,
    ROW_ID,
    ROW_IS_WORK,
    ROW_TYPE,
    ROW_CRON,
    ROW_ZONE,
    ROW_NEXT_AT,
    ROW_ASKED_AT,
    ROW_IS_AT_WORK,
    ROW_PLANNED,
    ROW_NOW
};

/* Who acts in the run: the operator who asked for it, and otherwise the one who put the schedule. The row keeps
 * the latter in any case, because what a revoked operator has put is refused, whoever asks for it. */
#define ACTS(asked, put) "CASE WHEN last_at = asked_by_at THEN " asked " ELSE " put " END"
#define SECONDS(at)      "floor(extract(epoch FROM " at "))::bigint"

/* In the transaction that holds the locks. $1: this process. Arrays: name, the next_at that follows, the id of
 * the command, whose `sent` is the time at which the schedule was last put: since then nobody has asked
 * whether the actor, or who acts, was revoked. */
/* clang-format off */
static const struct db_statement claim_taken = {
    "schedules.claim",
    "WITH claimed AS ("
    " UPDATE schedule AS s SET"
    " next_at = n.following,"
    " asked_at = NULL,"
    " last_asked_at = coalesce(s.asked_at, s.last_asked_at),"
    " last_at = coalesce(s.asked_at, s.next_at),"
    " last_begun_at = clock_timestamp(),"
    " last_ended_at = NULL,"
    " last_by = $1,"
    " last_error = NULL,"
    " last_command = CASE WHEN s.company_id IS NULL THEN s.last_command ELSE n.command END,"
    " run_at = CASE WHEN s.company_id IS NULL THEN coalesce(s.asked_at, s.next_at) END,"
    " step_at = CASE WHEN s.company_id IS NULL THEN now() ELSE s.step_at END,"
    " runs = s.runs + 1"
    " FROM unnest($2::text[], $3::timestamptz[], $4::uuid[]) AS n (name, following, command)"
    " WHERE s.name = n.name"
    " RETURNING s.*),"
    " waiting AS ("
    " INSERT INTO deferred"
    " (company_id, command_id, pool, slot, reason, due_at, type, actor, role, subject, parent, fingerprint, sent,"
    " body, acted_by, acted_company, acted_at, scheduled_by, scheduled_company, scheduled_at)"
    " SELECT company_id, last_command, pool, slot, 'schedule', last_at, type, actor, role, subject, parent,"
    " fingerprint, " SECONDS("updated_at") ", body,"
    " " ACTS("asked_by", "changed_by") ","
    " " ACTS("asked_by_company", "changed_by_company") ","
    " " ACTS(SECONDS("asked_by_at"), SECONDS("updated_at")) ","
    " changed_by, changed_by_company, " SECONDS("updated_at")
    " FROM claimed WHERE company_id IS NOT NULL"
    " ON CONFLICT DO NOTHING)"
    " SELECT name, " SECONDS("last_at") " FROM claimed",
};
/* clang-format on */

enum { CLAIMED_NAME, CLAIMED_PLANNED };

/* These schedules are left alone for ten seconds; then any process may try again. One that another transaction
 * holds is passed over. Arrays: name, slug. */
static const struct db_statement note_failures = {
    "schedules.note_failures",
    "WITH n AS (SELECT * FROM unnest($1::text[], $2::text[]) AS n (name, error)),"
    " failed AS MATERIALIZED (SELECT name, last_error FROM schedule WHERE name IN (SELECT name FROM n)"
    " FOR UPDATE SKIP LOCKED)"
    " UPDATE schedule AS s SET last_error = n.error, step_at = now() + interval '10 s'"
    " FROM n, failed"
    " WHERE failed.name = n.name AND s.name = n.name"
    " RETURNING s.name, s.cron, s.timezone, failed.last_error IS DISTINCT FROM n.error, n.error",
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
    int64_t poll_ms;
    char by[HOST_PROCESS_SIZE];
    char values[WORKS][DB_NUMBER_SIZE]; /* $2 of each */
    ev_timer poll;
    double next_s; /* until the next look */
    size_t open;   /* transactions without an answer */
    bool is_draining;
    struct pg_rows claims, failures;
    /* How many are taken at a time. It halves when a claim fails, until the one schedule that makes it fail is
     * alone and is put off; and doubles when a claim succeeds. */
    int64_t most;
    enum err claim_err;
    char taken[NAME_SIZE];   /* the only one that is taken */
    struct work_step *steps; /* to be done after the claim */
};

/* A step of the system's work. */
struct work_step {
    struct schedules *schedules;
    struct work_step *next;
    int work;
    char name[NAME_SIZE];
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
    return (double)s->poll_ms / 1000;
}

static void wait_for_next(struct schedules *s)
{
    double next_s = s->next_s < poll_s(s) ? s->next_s : rhythm_after(s->loop, poll_s(s));
    ev_timer_set(&s->poll, next_s, 0);
    ev_timer_start(s->loop, &s->poll);
}

static void close_one(struct schedules *s)
{
    if (--s->open > 0 || s->is_draining)
        return;
    wait_for_next(s);
}

/* ---- what fails ---- */

static void add_failure(struct schedules *s, struct slice name, enum err err)
{
    struct pg_array *column = pg_rows_add(&s->failures);
    pg_array_add_text(column++, name);
    pg_array_add_text(column++, slice_of(err_info(err)->slug));
}

static void log_failure(const struct db_result *result, const char *what)
{
    enum err err = db_result_error(result);
    if (err != ERR_SHUTTING_DOWN)
        log_at(err_info(err)->level, "schedule.failed", LOG_S("schedule", what),
               LOG_S("error", err_info(err)->name), LOG_S("message", db_result_message(result)));
}

static void on_noted(void *arg, enum err err)
{
    (void)err; /* the next look comes all the same */
    close_one(arg);
}

enum { NOTED_NAME, NOTED_CRON, NOTED_ZONE, NOTED_IS_NEW, NOTED_ERROR };

/* The schedule is looked at again and again; that it cannot run is logged once. Operators see it in the
 * schedule until it runs again. */
static void on_failures_noted(void *arg, struct db_result *result)
{
    (void)arg;
    for (int row = 0; !db_result_error(result) && row < db_rows(result); row++)
        if (slice_is(db_text(result, row, NOTED_IS_NEW), "t"))
            log_error("schedule.cannot_run", LOG_B("schedule", db_text(result, row, NOTED_NAME)),
                      LOG_B("error", db_text(result, row, NOTED_ERROR)),
                      LOG_B("cron", db_text(result, row, NOTED_CRON)),
                      LOG_B("timezone", db_text(result, row, NOTED_ZONE)));
}

static void put_off(struct schedules *s, struct slice name, enum err err)
{
    if (!db_is_up(s->db))
        return;
    pg_rows_begin(&s->failures, 2);
    add_failure(s, name, err);
    s->open++;
    pg_rows_send(&s->failures, s->db, &note_failures, NULL, on_failures_noted, NULL);
    db_sync(s->db, on_noted, s);
}

/* ---- steps ---- */

static void on_step(void *arg, struct db_result *result)
{
    struct work_step *step = arg;
    step->err = db_result_error(result);
    if (step->err)
        log_failure(result, step->name);
    else if (db_rows(result) == 0)
        log_debug("schedule.taken", LOG_S("schedule", step->name));
    else if (slice_is(db_text(result, 0, 0), "t"))
        look_in(step->schedules, STEP_S);
    else
        log_info("schedule.ended", LOG_S("schedule", step->name));
}

static void on_step_synced(void *arg, enum err err)
{
    CLEANUP_FREE struct work_step *step = arg;
    struct schedules *s = step->schedules;
    err = step->err ? step->err : err;
    if (err)
        put_off(s, slice_of(step->name), err);
    close_one(s);
}

static void send_steps(struct schedules *s)
{
    while (s->steps) {
        struct work_step *step = s->steps;
        s->steps = step->next;
        const struct slice params[] = {slice_of(step->name), slice_of(s->values[step->work])};
        s->open++;
        db_send(s->db, &works[step->work].step, params, ARRAY_LEN(params), on_step, step);
        db_sync(s->db, on_step_synced, step);
    }
}

static void add_step(struct schedules *s, const struct db_result *result, int row)
{
    int work = find_work(db_text(result, row, ROW_TYPE));
    if (work < 0) {
        log_debug("schedule.unknown_work",
                  LOG_B("type", db_text(result, row, ROW_TYPE))); /* a newer process knows it */
        return;
    }
    struct slice name = db_text(result, row, ROW_NAME);
    struct work_step *step = xcalloc(1, sizeof(*step));
    *step = (struct work_step){.schedules = s, .work = work, .next = s->steps};
    snprintf(step->name, sizeof(step->name), "%.*s", (int)name.len, name.data);
    s->steps = step;
}

/* ---- claiming ---- */

int64_t schedule_next(const struct cron *cron, const struct time_zone *zone, int64_t planned_s, int64_t now_s,
                      int64_t late_s)
{
    return cron_next(cron, zone, planned_s > now_s - late_s ? planned_s : now_s - late_s);
}

/* Fails when this process cannot read the expression or does not know the zone. */
static enum err find_next(const struct schedules *s, const struct db_result *result, int row,
                          char text[CLOCK_TEXT_SIZE])
{
    struct cron cron;
    struct time_zone *zone = NULL;
    char why[CRON_WHY_SIZE];
    if (cron_parse(db_text(result, row, ROW_CRON), &cron, why))
        return ERR_SCHEDULE_CRON_UNREADABLE;
    if (time_zone_open(db_text(result, row, ROW_ZONE), &zone))
        return ERR_SCHEDULE_ZONE_UNKNOWN;
    int64_t next = schedule_next(&cron, zone, db_int(result, row, ROW_PLANNED), db_int(result, row, ROW_NOW),
                                 s->config->schedule_late_ms / 1000);
    time_zone_free(zone);
    text[0] = '\0'; /* it never comes again */
    if (next != INT64_MAX)
        clock_format(next * 1000000, text);
    return ERR_OK;
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

static void add_claim(struct schedules *s, const struct db_result *result, int row)
{
    char next[CLOCK_TEXT_SIZE], command[UUID_TEXT_LEN + 1];
    struct slice asked_at = db_text(result, row, ROW_ASKED_AT);
    struct slice following =
        db_text(result, row, ROW_NEXT_AT); /* a run that was asked for does not move it */
    if (!asked_at.data) {
        enum err err = find_next(s, result, row, next);
        if (err) {
            add_failure(s, db_text(result, row, ROW_NAME), err);
            return;
        }
        following = next[0] ? slice_of(next) : SLICE_NONE;
    }
    derive_command(result, row, asked_at.data != NULL, command);
    struct pg_array *column = pg_rows_add(&s->claims);
    pg_array_add_text(column++, db_text(result, row, ROW_NAME));
    pg_array_add_text(column++, following);
    pg_array_add_text(column++, slice_of(command));
}

static void on_claimed(void *arg, struct db_result *result)
{
    struct schedules *s = arg;
    s->claim_err = db_result_error(result);
    if (s->claim_err) {
        if (s->taken[0])
            log_failure(result, s->taken);
        else
            log_debug("schedules.not_claimed", LOG_I("most", s->most),
                      LOG_S("message", db_result_message(result)));
        return;
    }
    int claimed = db_rows(result);
    for (int row = 0; row < claimed && claimed <= LOGGED_MAX; row++)
        log_info("schedule.begun", LOG_B("schedule", db_text(result, row, CLAIMED_NAME)),
                 LOG_I("planned", db_int(result, row, CLAIMED_PLANNED)));
    if (claimed > LOGGED_MAX)
        log_info("schedules.begun", LOG_I("count", claimed));
}

/* ---- looking ---- */

static void drop_steps(struct schedules *s)
{
    while (s->steps) {
        struct work_step *step = s->steps;
        s->steps = step->next;
        free(step);
    }
}

/* Nothing of what was taken is claimed. */
static void shrink(struct schedules *s, enum err err)
{
    if (s->taken[0]) {
        put_off(s, slice_of(s->taken), err);
        return;
    }
    if (s->most > 1)
        look_in(s, 0);
    s->most = s->most > 1 ? s->most / 2 : 1;
}

static void on_claim_synced(void *arg, enum err err)
{
    struct schedules *s = arg;
    err = s->claim_err ? s->claim_err : err;
    if (err) {
        drop_steps(s);
        shrink(s, err);
    } else {
        s->most = s->most < TAKEN_MAX / 2 ? s->most * 2 : TAKEN_MAX;
        send_steps(s);
    }
    close_one(s);
}

/* All that the process has taken is claimed or put off in the transaction that locks it. Work that is being
 * done has its step after that, in a transaction of its own. */
static void on_taken(void *arg, struct db_result *result)
{
    struct schedules *s = arg;
    int taken = db_rows(result);
    s->claim_err = db_result_error(result);
    if (s->claim_err)
        log_failure(result, "all that are due");
    s->taken[0] = '\0';
    if (taken == 1)
        snprintf(s->taken, sizeof(s->taken), "%.*s", (int)db_text(result, 0, ROW_NAME).len,
                 db_text(result, 0, ROW_NAME).data);
    pg_rows_begin(&s->claims, CLAIM_COLUMNS);
    pg_rows_begin(&s->failures, 2);
    for (int row = 0; !s->claim_err && !s->is_draining && row < taken; row++)
        if (slice_is(db_text(result, row, ROW_IS_AT_WORK), "t"))
            add_step(s, result, row);
        else
            add_claim(s, result, row);
    if (s->claims.count > 0)
        look_in(s, 0);
    pg_rows_send(&s->failures, s->db, &note_failures, NULL, on_failures_noted, NULL);
    pg_rows_send(&s->claims, s->db, &claim_taken, s->by, on_claimed, s);
    db_sync(s->db, on_claim_synced, s);
}

static void take(struct schedules *s)
{
    char most[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(s->most, most)};
    s->open++;
    db_send(s->db, &take_due, params, ARRAY_LEN(params), on_taken, s);
    db_ask(s->db);
}

/* Processes that wait for the same time do not all come at once. */
static double until_due_s(const struct schedules *s, int64_t ms)
{
    return (double)(ms + arc4random_uniform((uint32_t)s->poll_ms / 4 + 1)) / 1000;
}

static void on_probed(void *arg, struct db_result *result)
{
    struct schedules *s = arg;
    if (db_result_error(result)) {
        log_failure(result, "the next");
        return;
    }
    if (s->is_draining || !db_text(result, 0, 0).data)
        return;
    int64_t ms = db_int(result, 0, 0);
    if (ms > 0)
        look_in(s, until_due_s(s, ms));
    else
        take(s);
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
    s->next_s = poll_s(s);
    if (!db_is_up(s->db)) {
        wait_for_next(s);
        return;
    }
    s->open++;
    db_send(s->db, &probe, NULL, 0, on_probed, s);
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

struct schedules *schedules_new(struct ev_loop *loop, struct db *db, const struct config *config,
                                int64_t poll_ms)
{
    struct schedules *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->db = db;
    s->config = config;
    s->poll_ms = poll_ms;
    host_process(s->by);
    s->most = TAKEN_MAX;
    take_values(s, config);
    pg_rows_init(&s->claims, CLAIM_COLUMNS + 1, COLUMN_BYTES_MAX);
    pg_rows_init(&s->failures, 2, COLUMN_BYTES_MAX);
    ev_timer_init(&s->poll, on_poll, 0, 0);
    ev_timer_start(loop, &s->poll);
    return s;
}

void schedules_free(struct schedules *s)
{
    if (!s)
        return;
    ev_timer_stop(s->loop, &s->poll);
    pg_rows_done(&s->claims);
    pg_rows_done(&s->failures);
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
