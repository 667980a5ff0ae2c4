#include "workers/engine/intake/scan.h"

#include "common/base/log.h"
#include "common/db/pg_array.h"
#include "common/process/rhythm.h"

enum { PAGE = 256, COUNT_PAGE = 1000 };

static const double AGAIN_S = 0.5; /* after a failure */

/* Goes from company to company along the index, from the one after $4 on. */
static const struct db_statement find_companies = {
    "scan.companies",
    "WITH RECURSIVE company AS ("
    "(SELECT company_id, slot, 1 AS n FROM deferred"
    " WHERE pool = $1 AND reason = 'turn' AND company_id > $4::uuid"
    " ORDER BY company_id, place"
    " LIMIT 1)"
    " UNION ALL"
    " SELECT n.company_id, n.slot, c.n + 1 FROM company AS c"
    " CROSS JOIN LATERAL (SELECT company_id, slot FROM deferred"
    " WHERE pool = $1 AND reason = 'turn' AND company_id > c.company_id"
    " ORDER BY company_id, place"
    " LIMIT 1) AS n"
    " WHERE c.n < $5::integer)"
    " SELECT company_id, slot % $2::integer = ANY ($3::integer[]) FROM company ORDER BY n",
};

static const struct db_statement count_rows = {
    "scan.count",
    "WITH page AS MATERIALIZED ("
    "SELECT company_id, place FROM deferred"
    " WHERE pool = $1 AND reason = 'turn' AND (company_id, place) > ($2::uuid, $3::bigint)"
    " ORDER BY company_id, place"
    " LIMIT $4::integer)"
    " SELECT company_id, count(*), max(place) FROM page GROUP BY company_id ORDER BY company_id",
};

enum scan_step {
    SCAN_NOTHING,
    SCAN_FINDING,
    SCAN_COUNTING, /* follows a look for which companies were closed */
};

struct scan {
    struct ev_loop *loop;
    struct db *db;
    const char *pool;
    const struct partition_set *partitions;
    struct intake *intake;
    double every_s;
    ev_timer timer;
    enum scan_step step;
    bool is_open;      /* a page is on its way */
    bool is_stale;     /* that page belongs to a look that was begun anew */
    bool is_due;       /* it is time for another look */
    bool is_failing;   /* the next page waits for the timer */
    uint64_t unseen;   /* partitions gained since the last look that went through, ours or not */
    struct uuid after; /* the last company of the last page */
    int64_t place;     /* its last row that was counted */
    struct pg_array numbers;
};

static void wake_after(struct scan *s, double seconds)
{
    ev_timer_stop(s->loop, &s->timer);
    ev_timer_set(&s->timer, rhythm_after(s->loop, seconds), 0);
    ev_timer_start(s->loop, &s->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct scan *s = CONTAINER_OF(timer, struct scan, timer);
    s->is_failing = false;
    s->is_due = true;
}

static void begin(struct scan *s, enum scan_step step)
{
    s->step = step;
    s->after = (struct uuid){{0}};
    s->place = 0;
}

/* Returns true when the page is to be read. */
static bool takes_page(struct scan *s, const struct db_result *result)
{
    enum err err = db_result_error(result);
    s->is_open = false;
    if (err && err != ERR_SHUTTING_DOWN)
        log_warn("backlog.failed", LOG_S("what", "scan"), LOG_S("error", err_info(err)->name),
                 LOG_S("message", db_result_message(result)));
    if (err) {
        s->is_failing = true;
        wake_after(s, AGAIN_S);
    }
    bool is_good = err == ERR_OK && !s->is_stale;
    s->is_stale = false;
    return is_good;
}

/* ---- finding ---- */

static void end_look(struct scan *s)
{
    bool was_closed = s->unseen != 0;
    s->unseen = 0;
    intake_open(s->intake, NULL);
    begin(s, was_closed ? SCAN_COUNTING : SCAN_NOTHING);
    wake_after(s, s->every_s);
}

static void on_companies(void *arg, struct db_result *result)
{
    struct scan *s = arg;
    if (!takes_page(s, result))
        return;
    for (int row = 0; row < db_rows(result); row++)
        if (uuid_parse(db_text(result, row, 0), &s->after) && slice_is(db_text(result, row, 1), "t"))
            intake_found(s->intake, &s->after, 1);
    if (db_rows(result) < PAGE)
        end_look(s);
    else
        intake_open(s->intake, &s->after);
}

static struct slice list_partitions(struct scan *s)
{
    uint64_t set = s->unseen | s->partitions->mine;
    pg_array_clear(&s->numbers);
    for (unsigned i = 0; i < s->partitions->count; i++)
        if (set >> i & 1)
            pg_array_add_i64(&s->numbers, i);
    return pg_array_end(&s->numbers);
}

static void find(struct scan *s, const char *after)
{
    char count[DB_NUMBER_SIZE], page[DB_NUMBER_SIZE];
    const struct slice params[] = {slice_of(s->pool), db_number(s->partitions->count, count),
                                   list_partitions(s), slice_of(after), db_number(PAGE, page)};
    db_send(s->db, &find_companies, params, ARRAY_LEN(params), on_companies, s);
}

/* ---- counting ---- */

static void on_counted(void *arg, struct db_result *result)
{
    struct scan *s = arg;
    int64_t rows = 0;
    if (!takes_page(s, result))
        return;
    for (int row = 0; row < db_rows(result); row++) {
        if (uuid_parse(db_text(result, row, 0), &s->after))
            intake_counted(s->intake, &s->after, (size_t)db_int(result, row, 1));
        rows += db_int(result, row, 1);
        s->place = db_int(result, row, 2);
    }
    if (rows < COUNT_PAGE)
        s->step = SCAN_NOTHING;
}

static void count_next(struct scan *s, const char *after)
{
    char place[DB_NUMBER_SIZE], page[DB_NUMBER_SIZE];
    const struct slice params[] = {slice_of(s->pool), slice_of(after), db_number(s->place, place),
                                   db_number(COUNT_PAGE, page)};
    db_send(s->db, &count_rows, params, ARRAY_LEN(params), on_counted, s);
}

/* ---- the outside ---- */

bool scan_run(struct scan *s)
{
    bool has_begun = s->is_due && s->step == SCAN_NOTHING;
    if (has_begun)
        begin(s, SCAN_FINDING);
    s->is_due = false;
    if (s->step == SCAN_NOTHING || s->is_open || s->is_failing)
        return has_begun;
    char after[UUID_TEXT_LEN + 1];
    uuid_format(&s->after, after);
    s->is_open = true;
    if (s->step == SCAN_FINDING)
        find(s, after);
    else
        count_next(s, after);
    db_sync(s->db, NULL, NULL);
    return has_begun;
}

void scan_restart(struct scan *s, uint64_t partitions)
{
    s->unseen |= partitions;
    s->is_stale = s->is_open;
    intake_close(s->intake, s->unseen);
    begin(s, SCAN_FINDING);
}

struct scan *scan_new(struct ev_loop *loop, struct db *db, const char *pool,
                      const struct partition_set *partitions, struct intake *intake, double every_s)
{
    struct scan *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->db = db;
    s->pool = pool;
    s->partitions = partitions;
    s->intake = intake;
    s->every_s = every_s;
    pg_array_init(&s->numbers, 4096);
    ev_timer_init(&s->timer, on_timer, 0, 0);
    begin(s, SCAN_FINDING);
    return s;
}

void scan_free(struct scan *s)
{
    if (!s)
        return;
    ev_timer_stop(s->loop, &s->timer);
    pg_array_done(&s->numbers);
    free(s);
}
