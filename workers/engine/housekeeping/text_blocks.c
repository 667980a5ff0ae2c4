#include "workers/engine/housekeeping/text_blocks.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/msg/msg.h"

enum {
    STEP_ROWS = 1000,    /* about 20 ms of PostgreSQL */
    FEW_PER_S = 100,     /* commands: so many leave time for a step */
    CHANGES_MAX = 10000, /* of this process; then it fills although many come */
    REST = 1,            /* after a step, in durations of that step */
    SQL_MAX = 4096,
};

static const double LOOK_S = 1, REST_MIN_S = 0.02;

struct text_blocks {
    struct ev_loop *loop;
    struct db *db;
    ev_timer look;
    double idle_look_s;
    struct buf sql;
    struct db_statement fill;
    int64_t commands;     /* since the last look */
    int64_t changes;      /* before that, and not filled in yet */
    double looked, begun; /* monotonic: the last look; the last step */
    bool is_open, is_draining;
    bool is_more; /* the last step has left something, or something came meanwhile */
    bool is_late; /* so much has gathered that it is filled although many commands come */
};

static void look_in(struct text_blocks *t, double seconds)
{
    ev_timer_stop(t->loop, &t->look);
    if (t->is_draining)
        return;
    ev_timer_set(&t->look, seconds, 0);
    ev_timer_start(t->loop, &t->look);
}

static void wait_for_changes(struct text_blocks *t)
{
    look_in(t, t->commands > 0 ? LOOK_S : t->idle_look_s * (0.8 + (double)arc4random_uniform(400) / 1000));
}

static void on_filled(void *arg, struct db_result *result)
{
    struct text_blocks *t = arg;
    enum err err = db_result_error(result);
    t->is_more = !err && slice_is(db_text(result, 0, 0), "t");
    t->changes = t->is_more && t->changes > STEP_ROWS ? t->changes - STEP_ROWS : 0;
    t->is_late &= t->changes > 0;
    if (err && err != ERR_SHUTTING_DOWN)
        log_at(err_info(err)->level, "text_blocks.failed", LOG_S("error", err_info(err)->name),
               LOG_S("message", db_result_message(result)));
}

static void on_synced(void *arg, enum err err)
{
    struct text_blocks *t = arg;
    double rest = (clock_monotonic_s() - t->begun) * REST;
    t->is_open = false;
    if (err || !t->is_more)
        wait_for_changes(t);
    else
        look_in(t, rest > REST_MIN_S ? rest : REST_MIN_S);
}

static void step(struct text_blocks *t)
{
    char rows[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(STEP_ROWS, rows)};
    t->is_open = true;
    t->begun = clock_monotonic_s();
    db_send(t->db, &t->fill, params, ARRAY_LEN(params), on_filled, t);
    db_sync(t->db, on_synced, t);
}

/* While many commands come, at most one step a second: for what others have changed, such as an import. */
static bool is_to_wait(struct text_blocks *t, double elapsed)
{
    bool are_many = (double)t->commands > FEW_PER_S * elapsed;
    t->changes += t->commands;
    t->commands = 0;
    t->is_late |= t->changes >= CHANGES_MAX;
    return are_many && !t->is_late && !(t->is_more && t->looked - t->begun >= LOOK_S);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct text_blocks *t = CONTAINER_OF(timer, struct text_blocks, look);
    double elapsed = clock_monotonic_s() - t->looked;
    t->looked = clock_monotonic_s();
    if (is_to_wait(t, elapsed) || !db_is_up(t->db))
        look_in(t, LOOK_S);
    else
        step(t);
}

void text_blocks_changed(struct text_blocks *t)
{
    if (t->commands++ == 0 && !t->is_open && !t->is_more && !t->is_draining &&
        ev_timer_remaining(t->loop, &t->look) > LOOK_S)
        look_in(t, LOOK_S);
}

/* Each resource with x-search has a function <table>_text_fill, which says whether there is more to do. */
static void make_statement(struct text_blocks *t)
{
    const char *before = "SELECT ";
    buf_init(&t->sql, SQL_MAX);
    for (const struct msg_resource *const *resource = msg_resources; *resource; resource++) {
        bool has_search = false;
        for (size_t i = 0; i < (*resource)->object->field_count; i++)
            has_search |= (*resource)->object->fields[i].search;
        if (has_search) {
            buf_printf(&t->sql, "%s\"%s_text_fill\"($1::integer)::integer", before, (*resource)->table);
            before = " + ";
        }
    }
    buf_append(&t->sql, " > 0", sizeof(" > 0"));
    t->fill = (struct db_statement){"text_blocks.fill", buf_data(&t->sql)};
}

struct text_blocks *text_blocks_new(struct ev_loop *loop, struct db *db, double look_s)
{
    struct text_blocks *t = xcalloc(1, sizeof(*t));
    t->loop = loop;
    t->db = db;
    t->idle_look_s = look_s;
    t->looked = clock_monotonic_s();
    make_statement(t);
    ev_timer_init(&t->look, on_look, 0, 0);
    look_in(t, LOOK_S);
    return t;
}

void text_blocks_free(struct text_blocks *t)
{
    if (!t)
        return;
    ev_timer_stop(t->loop, &t->look);
    buf_done(&t->sql);
    free(t);
}

void text_blocks_drain(struct text_blocks *t)
{
    t->is_draining = true;
    ev_timer_stop(t->loop, &t->look);
}

bool text_blocks_is_idle(const struct text_blocks *t)
{
    return !t->is_open;
}
