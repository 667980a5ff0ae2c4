#include "workers/engine/feed/feed.h"

#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/uuid_map.h"
#include "common/broker/topology.h"
#include "common/db/pg_array.h"
#include "workers/engine/feed/pass.h"
#include "workers/engine/feed/walk.h"
#include "workers/engine/feed/words.h"
#include "workers/engine/records/database.h"

enum {
    TOGETHER_MAX = 64,   /* companies of one statement */
    EVENTS_MAX = 1024,   /* of one statement, unless it has more companies than that leaves room for */
    LOCK_WAIT_MS = 500,  /* for a row that another transaction holds */
    ARRAY_MAX = 8 << 10, /* octets: TOGETHER_MAX ids */
};

/* After statements that have failed, one after the other: of all companies, and of the one whose events cannot be passed. */
static const double REST_S = 0.05, REST_MAX_S = 5, ALONE_S = 1, ALONE_MAX_S = 60;

/* A company of this worker's part of the feed.
 *
 *   RESTING ── a word, the walk ──▶ DUE ── its turn ──▶ PASSING ── nothing is left ──▶ RESTING
 *                                    ▲                     │
 *                                    └──── more is left ───┘
 */
enum state { RESTING, DUE, PASSING };

struct fed {
    struct uuid_node node;
    TAILQ_ENTRY(fed) link; /* in `due` or in `passing` */
    enum state state;
    bool is_due_again; /* something came while it was passed */
    bool needs_all;    /* the statement that reads the last days has not found the next event */
    bool is_alone;     /* a statement with it has failed: until one succeeds, it has none with others */
    bool is_unsure;    /* its slot was not bound yet when it came */
    uint32_t round;    /* of the walk that has last named it */
    double put_off_s;  /* for so long after it failed alone, the next time */
    double until;      /* monotonic: it is put off */
};

TAILQ_HEAD(fed_list, fed);

struct feed {
    struct ev_loop *loop;
    struct feed_options options;
    struct db *db;
    struct pass pass;
    struct words *words;
    struct walk *walk;
    struct uuid_map companies;
    struct fed_list due, passing;
    uint32_t round;
    size_t unsure; /* companies */
    enum err err;  /* of the statement under way */
    size_t count;  /* of its companies */
    struct pg_array ids;
    ev_prepare turn;
    ev_timer rest; /* active while nothing is passed, since a statement has failed */
    double rest_s;
    bool is_open; /* a statement is on its way */
    bool is_held, is_draining;
};

/* ---- states ---- */

static struct fed *find(const struct feed *f, const struct uuid *company)
{
    struct uuid_node *node = uuid_map_find(&f->companies, company);
    return node ? CONTAINER_OF(node, struct fed, node) : NULL;
}

static void enter(struct feed *f, struct fed *fed, enum state state)
{
    if (fed->state != RESTING)
        TAILQ_REMOVE(fed->state == DUE ? &f->due : &f->passing, fed, link);
    fed->state = state;
    if (state != RESTING)
        TAILQ_INSERT_TAIL(state == DUE ? &f->due : &f->passing, fed, link);
}

static void make_due(struct feed *f, struct fed *fed)
{
    if (fed->state == PASSING)
        fed->is_due_again = true;
    else if (fed->state == RESTING && clock_monotonic_s() >= fed->until)
        enter(f, fed, DUE);
}

static void forget(struct feed *f, struct fed *fed)
{
    enter(f, fed, RESTING);
    f->unsure -= fed->is_unsure;
    words_remove(f->words, &fed->node.key);
    uuid_map_remove(&f->companies, &fed->node);
    free(fed);
}

static struct fed *add(struct feed *f, const struct uuid *company)
{
    struct fed *fed = xcalloc(1, sizeof(*fed));
    fed->node.key = *company;
    fed->round = f->round;
    fed->put_off_s = ALONE_S;
    uuid_map_insert(&f->companies, &fed->node);
    fed->is_unsure = words_add(f->words, company);
    f->unsure += fed->is_unsure;
    return fed;
}

static bool is_ours(const struct feed *f, const struct uuid *company)
{
    const struct partition_set *set = f->options.partitions;
    return partition_is_mine(set, topology_partition(company, set->count));
}

/* ---- passing ---- */

static void rest(struct feed *f)
{
    ev_timer_stop(f->loop, &f->rest);
    ev_timer_set(&f->rest, f->rest_s * (0.5 + (double)arc4random_uniform(1000) / 1000), 0);
    ev_timer_start(f->loop, &f->rest);
    f->rest_s = f->rest_s * 2 < REST_MAX_S ? f->rest_s * 2 : REST_MAX_S;
}

static void on_rest_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events; /* on_turn, which follows, goes on */
}

static void log_gone(const struct feed *f, const struct fed *fed, int64_t gone)
{
    char company[UUID_TEXT_LEN + 1];
    uuid_format(&fed->node.key, company);
    log_error("feed.events_are_gone", LOG_S("pool", f->options.pool), LOG_S("company", company),
              LOG_I("events", gone));
}

/* Behind a cursor that has moved, or that the wider statement did not move, it may be tried again as before. */
static void take_row(struct feed *f, const struct db_result *result, int row)
{
    struct uuid company;
    struct fed *fed = uuid_parse(db_text(result, row, PASS_COMPANY), &company) ? find(f, &company) : NULL;
    bool has_moved = db_int(result, row, PASS_COUNT) + db_int(result, row, PASS_GONE) > 0;
    bool is_left = db_int(result, row, PASS_LEFT) > 0;
    if (!fed || fed->state != PASSING)
        return;
    if (db_int(result, row, PASS_GONE) > 0)
        log_gone(f, fed, db_int(result, row, PASS_GONE));
    fed->is_due_again |= is_left && (has_moved || !fed->needs_all);
    fed->needs_all = is_left && !has_moved && !fed->needs_all;
}

static void on_passed(void *arg, struct db_result *result)
{
    struct feed *f = arg;
    f->err = db_result_error(result);
    if (f->err && f->err != ERR_SHUTTING_DOWN)
        log_at(err_info(f->err)->level, "feed.not_passed", LOG_S("pool", f->options.pool),
               LOG_S("error", err_info(f->err)->name), LOG_S("message", db_result_message(result)),
               LOG_I("companies", f->count));
    for (int row = 0; !f->err && row < db_rows(result); row++)
        take_row(f, result, row);
}

/* The walk finds it again when its time is over. What another transaction holds is free again soon. */
static void put_off(struct feed *f, struct fed *fed)
{
    bool is_passing = err_info(f->err)->fate == FATE_RETRY;
    fed->until = clock_monotonic_s() + fed->put_off_s;
    if (!is_passing)
        fed->put_off_s = fed->put_off_s * 2 < ALONE_MAX_S ? fed->put_off_s * 2 : ALONE_MAX_S;
    enter(f, fed, RESTING);
}

/* Whose fault it was is found out by passing each alone, unless the server has gone. So the others go on. */
static void fail(struct feed *f)
{
    bool was_alone = f->count == 1 && db_is_up(f->db);
    struct fed *fed;
    while ((fed = TAILQ_FIRST(&f->passing))) {
        fed->is_due_again = false;
        fed->is_alone = db_is_up(f->db);
        if (was_alone)
            put_off(f, fed);
        else
            enter(f, fed, DUE);
    }
    rest(f);
}

static void succeed(struct feed *f)
{
    struct fed *fed;
    while ((fed = TAILQ_FIRST(&f->passing))) {
        enter(f, fed, fed->is_due_again ? DUE : RESTING);
        fed->is_due_again = fed->is_alone = false;
        fed->put_off_s = ALONE_S;
    }
    f->rest_s = REST_S;
    if (f->options.on_passed)
        f->options.on_passed(f->options.ctx);
}

static void on_synced(void *arg, enum err err)
{
    struct feed *f = arg;
    if (err == ERR_SHUTTING_DOWN)
        return;
    f->is_open = false;
    f->err = f->err ? f->err : err;
    if (f->err)
        fail(f);
    else
        succeed(f);
}

/* The first, and those that need the same statement and may share it. */
static void take_due(struct feed *f)
{
    struct fed *fed, *next;
    bool needs_all = TAILQ_FIRST(&f->due)->needs_all;
    size_t most = TAILQ_FIRST(&f->due)->is_alone ? 1 : TOGETHER_MAX;
    f->count = 0;
    pg_array_clear(&f->ids);
    for (fed = TAILQ_FIRST(&f->due); fed && f->count < most; fed = next) {
        next = TAILQ_NEXT(fed, link);
        if (fed->needs_all != needs_all || (fed->is_alone && most > 1))
            continue;
        enter(f, fed, PASSING);
        pg_array_add_uuid(&f->ids, &fed->node.key);
        f->count++;
    }
}

static void pass_due(struct feed *f)
{
    bool needs_all = TAILQ_FIRST(&f->due)->needs_all;
    char most[DB_NUMBER_SIZE];
    take_due(f);
    const struct slice params[] = {slice_of(f->options.pool), pg_array_end(&f->ids),
                                   db_number((int64_t)(EVENTS_MAX / f->count), most)};
    f->is_open = true;
    db_send(f->db, needs_all ? &f->pass.all : &f->pass.recent, params, ARRAY_LEN(params), on_passed, f);
    db_sync(f->db, on_synced, f);
}

/* Words that have come in one turn of the loop make one statement. */
static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)loop, (void)events;
    struct feed *f = CONTAINER_OF(prepare, struct feed, turn);
    bool may_pass =
        !f->is_open && db_is_up(f->db) && !f->is_held && !f->is_draining && !ev_is_active(&f->rest);
    if (may_pass && !TAILQ_EMPTY(&f->due))
        pass_due(f);
}

/* ---- words ---- */

static void on_word(void *ctx, const struct uuid *company)
{
    struct feed *f = ctx;
    struct fed *fed = find(f, company);
    if (fed)
        make_due(f, fed);
}

static void make_sure(struct uuid_node *node, void *arg)
{
    struct feed *f = arg;
    struct fed *fed = CONTAINER_OF(node, struct fed, node);
    if (!fed->is_unsure)
        return;
    fed->is_unsure = false;
    f->unsure--;
    make_due(f, fed);
}

/* What was said before is looked up: of many companies by the walk, which reads their cursors a page at a time. */
static void on_bound(void *ctx)
{
    struct feed *f = ctx;
    bool are_many = f->unsure > TOGETHER_MAX;
    if (f->unsure == 0)
        return;
    if (are_many)
        walk_hurry(f->walk);
    uuid_map_each(&f->companies, make_sure, f);
}

static const struct words_callbacks words_callbacks = {.on_word = on_word, .on_bound = on_bound};

/* ---- the walk ---- */

static void on_company(void *ctx, const struct uuid *company, bool is_behind)
{
    struct feed *f = ctx;
    struct fed *fed = find(f, company);
    if (!is_ours(f, company))
        return;
    if (!fed)
        fed = add(f, company);
    fed->round = f->round;
    if (is_behind)
        make_due(f, fed);
}

static void forget_unnamed(struct uuid_node *node, void *arg)
{
    struct feed *f = arg;
    struct fed *fed = CONTAINER_OF(node, struct fed, node);
    if (fed->round != f->round)
        forget(f, fed);
}

static void on_round(void *ctx)
{
    struct feed *f = ctx;
    uuid_map_each(&f->companies, forget_unnamed, f);
    f->round++;
}

static const struct walk_callbacks walk_callbacks = {.on_company = on_company, .on_round = on_round};

/* ---- the database ---- */

/* The events of a company are read by an index of each partition, and a plan of hundreds of partitions is made once. */
static const struct db_statement set_up = {
    "feed.set_up",
    "SELECT set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false)",
};

static void on_db_up(void *ctx, struct db *db)
{
    struct feed *f = ctx;
    db_send(db, &set_up, NULL, 0, NULL, NULL);
    db_sync(db, NULL, NULL);
    database_limit_lock_waits(db, LOCK_WAIT_MS);
    log_info("database.up", LOG_S("connection", "feed"));
    walk_hurry(f->walk);
}

static void on_db_down(void *ctx, struct db *db, const char *why)
{
    (void)ctx, (void)db;
    log_warn("database.down", LOG_S("connection", "feed"), LOG_S("why", why));
}

static const struct db_callbacks db_callbacks = {.on_up = on_db_up, .on_down = on_db_down};

/* ---- the outside ---- */

enum err feed_new(struct ev_loop *loop, const struct feed_options *options, struct feed **ret_feed)
{
    struct feed *f = xcalloc(1, sizeof(*f));
    f->loop = loop;
    f->options = *options;
    f->rest_s = REST_S;
    f->round = 1;
    TAILQ_INIT(&f->due);
    TAILQ_INIT(&f->passing);
    uuid_map_init(&f->companies);
    pg_array_init(&f->ids, ARRAY_MAX);
    pass_init(&f->pass, options->consumer);
    ev_prepare_init(&f->turn, on_turn);
    ev_timer_init(&f->rest, on_rest_over, 0, 0);
    f->words = words_new(options->broker, options->pool, &words_callbacks, f);
    enum err err = database_connect(loop, options->config, options->pool, "feed", &db_callbacks, f, &f->db);
    if (err) {
        feed_free(f);
        return err;
    }
    f->walk = walk_new(loop, f->db, options->pool, options->config->feed_look_ms, &walk_callbacks, f);
    ev_prepare_start(loop, &f->turn);
    *ret_feed = f;
    return ERR_OK;
}

void feed_close(struct feed *f)
{
    if (!f)
        return;
    ev_prepare_stop(f->loop, &f->turn);
    ev_timer_stop(f->loop, &f->rest);
    db_free(TAKE(f->db));
}

static void forget_any(struct uuid_node *node, void *arg)
{
    forget(arg, CONTAINER_OF(node, struct fed, node));
}

void feed_free(struct feed *f)
{
    if (!f)
        return;
    feed_close(f);
    walk_free(f->walk);
    words_down(f->words);
    uuid_map_each(&f->companies, forget_any, f);
    uuid_map_done(&f->companies);
    words_free(f->words);
    pg_array_done(&f->ids);
    pass_done(&f->pass);
    free(f);
}

void feed_up(struct feed *f)
{
    if (!f)
        return;
    words_up(f->words);
    walk_hurry(f->walk); /* whatever was said meanwhile */
}

void feed_down(struct feed *f)
{
    if (f)
        words_down(f->words);
}

bool feed_delivery(struct feed *f, const struct broker_delivery *delivery)
{
    return f && words_delivery(f->words, delivery);
}

void feed_gained(struct feed *f)
{
    if (f)
        walk_hurry(f->walk);
}

struct losing {
    struct feed *feed;
    unsigned partition;
};

static void forget_lost(struct uuid_node *node, void *arg)
{
    const struct losing *losing = arg;
    if (topology_partition(&node->key, losing->feed->options.partitions->count) == losing->partition)
        forget(losing->feed, CONTAINER_OF(node, struct fed, node));
}

void feed_lost(struct feed *f, unsigned partition)
{
    if (f)
        uuid_map_each(&f->companies, forget_lost, &(struct losing){f, partition});
}

void feed_joined(struct feed *f, const struct uuid *company)
{
    if (f && is_ours(f, company) && !find(f, company))
        make_due(f, add(f, company));
}

void feed_hold(struct feed *f, bool is_held)
{
    if (f)
        f->is_held = is_held;
}

void feed_drain(struct feed *f)
{
    if (!f)
        return;
    f->is_draining = true;
    walk_stop(f->walk);
}

bool feed_is_idle(const struct feed *f)
{
    return !f || (!f->is_open && walk_is_idle(f->walk));
}
