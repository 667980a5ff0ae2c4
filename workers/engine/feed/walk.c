#include "workers/engine/feed/walk.h"

#include "common/base/log.h"

static const struct db_statement page = {
    "feed.walk",
    "SELECT f.company_id, s.seq > f.seq"
    " FROM (SELECT company_id, seq FROM feed WHERE pool = $1 AND company_id > $2::uuid"
    " ORDER BY company_id LIMIT $3::integer) AS f"
    " JOIN company_sequence AS s ON s.company_id = f.company_id"
    " ORDER BY f.company_id",
};

struct walk {
    struct ev_loop *loop;
    struct db *db;
    const char *pool;
    double look_s;
    const struct walk_callbacks *callbacks;
    void *ctx;
    ev_timer look;
    struct uuid after; /* the last company of the last page */
    bool is_open;      /* a page is on its way */
    bool is_stale;     /* that page belongs to a round that was begun anew */
    bool is_hurried, is_stopped;
};

static void look_in(struct walk *w, double seconds)
{
    ev_timer_stop(w->loop, &w->look);
    if (w->is_stopped)
        return;
    ev_timer_set(&w->look, seconds * (0.9 + (double)arc4random_uniform(200) / 1000), 0);
    ev_timer_start(w->loop, &w->look);
}

static void begin_round(struct walk *w)
{
    w->after = (struct uuid){{0}};
}

static void end_round(struct walk *w)
{
    begin_round(w);
    w->is_hurried = false;
    w->callbacks->on_round(w->ctx);
}

static void read_page(struct walk *w, const struct db_result *result)
{
    for (int row = 0; row < db_rows(result); row++)
        if (uuid_parse(db_text(result, row, 0), &w->after))
            w->callbacks->on_company(w->ctx, &w->after, slice_is(db_text(result, row, 1), "t"));
    if (db_rows(result) < WALK_PAGE)
        end_round(w);
}

static void on_page(void *arg, struct db_result *result)
{
    struct walk *w = arg;
    enum err err = db_result_error(result);
    bool is_stale = w->is_stale;
    w->is_open = w->is_stale = false;
    if (err == ERR_SHUTTING_DOWN)
        return;
    if (err)
        log_at(err_info(err)->level, "feed.not_looked", LOG_S("error", err_info(err)->name),
               LOG_S("message", db_result_message(result)));
    else if (!is_stale)
        read_page(w, result);
    look_in(w, w->is_hurried && !err ? 0 : w->look_s);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct walk *w = CONTAINER_OF(timer, struct walk, look);
    char after[UUID_TEXT_LEN + 1], most[DB_NUMBER_SIZE];
    if (!db_is_up(w->db)) {
        look_in(w, w->look_s);
        return;
    }
    uuid_format(&w->after, after);
    const struct slice params[] = {slice_of(w->pool), slice_of(after), db_number(WALK_PAGE, most)};
    w->is_open = true;
    db_send(w->db, &page, params, ARRAY_LEN(params), on_page, w);
    db_sync(w->db, NULL, NULL);
}

void walk_hurry(struct walk *w)
{
    begin_round(w);
    w->is_hurried = true;
    w->is_stale = w->is_open;
    if (!w->is_open)
        look_in(w, 0);
}

void walk_stop(struct walk *w)
{
    w->is_stopped = true;
    ev_timer_stop(w->loop, &w->look);
}

bool walk_is_idle(const struct walk *w)
{
    return !w->is_open;
}

struct walk *walk_new(struct ev_loop *loop, struct db *db, const char *pool, int64_t look_ms,
                      const struct walk_callbacks *callbacks, void *ctx)
{
    struct walk *w = xcalloc(1, sizeof(*w));
    w->loop = loop;
    w->db = db;
    w->pool = pool;
    w->look_s = (double)look_ms / 1000;
    w->callbacks = callbacks;
    w->ctx = ctx;
    ev_timer_init(&w->look, on_look, 0, 0);
    look_in(w, w->look_s);
    return w;
}

void walk_free(struct walk *w)
{
    if (!w)
        return;
    ev_timer_stop(w->loop, &w->look);
    free(w);
}
