#include "workers/engine/worker_private.h"

#include "common/base/log.h"
#include "common/broker/topology.h"
#include "workers/engine/command/outcome_log.h"
#include "workers/engine/records/database.h"

static const double PAUSE_MIN_S = 0.25, PAUSE_MAX_S = 10;

/* ---- what becomes of a command ---- */

static void on_published(void *ctx, struct command *command)
{
    struct worker *w = ctx;
    if (command->outcome == COMMAND_REJECTED)
        acks_reject(w->acks, command->epoch, command->tag);
    else
        acks_done(w->acks, command->epoch, command->tag);
    backlog_published(w->backlog, command);
    command_free(command);
}

static bool was_delivered_by(const struct worker *w, const struct command *command)
{
    return command->row || command->epoch == broker_epoch(w->consumer);
}

static void let_go(struct worker *w, struct command *command)
{
    intake_settled(command);
    backlog_settled(w->backlog, command);
}

static void give_up_row(void *arg, struct command *command)
{
    struct worker *w = arg;
    backlog_settled(w->backlog, command);
    backlog_give_up(w->backlog, command);
    command_free(command);
}

static void put_back(struct worker *w, struct command *command)
{
    if (!was_delivered_by(w, command)) { /* the broker delivers it again */
        let_go(w, command);
        command_free(command);
        return;
    }
    acks_hold(w->acks, command->epoch, command->tag);
    intake_return(w->intake, command);
}

static bool is_to_come_back(const struct command *command)
{
    return command->outcome == COMMAND_RETRY || command->outcome == COMMAND_AGAIN ||
           command->outcome == COMMAND_LOCKED || command->outcome == COMMAND_BLOCKED;
}

static void on_settled(void *ctx, struct command *command)
{
    struct worker *w = ctx;
    if (is_to_come_back(command)) {
        put_back(w, command);
        return;
    }
    outcome_log(command);
    w->pause_s = PAUSE_MIN_S;
    if (command->outcome == COMMAND_REJECTED)
        backlog_rejected(w->backlog, command);
    let_go(w, command);
    if (command->outcome == COMMAND_DONE)
        housekeeping_changed(w->housekeeping);
    if (command->outcome == COMMAND_DONE && command->handler &&
        command->handler->statement.plan->begins_long_job)
        long_jobs_poke(w->long_jobs);
    if (command->outcome == COMMAND_DONE) {
        feed_joined(w->feed, &command->envelope.company);
        outgoing_poke(w->outgoing);
    }
    if (command->outcome != COMMAND_DEFERRED && command->outcome != COMMAND_GONE)
        outbox_send(w->outbox, command);
    else
        on_published(w, command);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events; /* on_turn, which follows in the same turn, begins a batch */
}

/* The commands are back in the intake. The next batch waits, each time longer, so that the database can
 * recover. */
static void on_trouble(void *ctx)
{
    struct worker *w = ctx;
    ev_now_update(w->loop);
    ev_timer_stop(w->loop, &w->pause);
    ev_timer_set(&w->pause, w->pause_s * (0.5 + (double)arc4random_uniform(1000) / 1000), 0);
    ev_timer_start(w->loop, &w->pause);
    if (w->pause_s < PAUSE_MAX_S)
        w->pause_s *= 2;
}

static const struct batch_callbacks batch_callbacks = {.on_settled = on_settled, .on_trouble = on_trouble};

/* ---- the turn of the loop ---- */

/* While results wait for room in the publisher, no batch is begun: it would only add to them. */
static bool may_begin(const struct worker *w)
{
    return batch_is_idle(w->batch) && db_is_up(w->db) && outbox_waiting(w->outbox) == 0 &&
           !ev_is_active(&w->pause);
}

/* The other workers have been told that this one holds nothing any more; or they cannot be told. */
static bool farewell_is_sent(const struct worker *w)
{
    return broker_unsent_bytes(w->publisher) == 0 || !broker_is_up(w->publisher) ||
           broker_is_blocked(w->publisher);
}

static bool has_finished(const struct worker *w)
{
    if (schema_check_is_lacking(w->schema_check)) /* nothing can be done of what is here; the broker has it */
        return batch_is_idle(w->batch) && outbox_unpublished(w->outbox) == 0 && farewell_is_sent(w);
    return batch_is_idle(w->batch) && intake_waiting(w->intake) == 0 && intake_backing_off(w->intake) == 0 &&
           outbox_unpublished(w->outbox) == 0 && (backlog_is_idle(w->backlog) || !db_is_up(w->db)) &&
           partitions_held(w->partitions) == 0 && farewell_is_sent(w) &&
           housekeeping_is_idle(w->housekeeping) && long_jobs_is_idle(w->long_jobs) &&
           feed_is_idle(w->feed) && outgoing_is_idle(w->outgoing);
}

/* Other statements on this connection go between two batches. */
static void begin(struct worker *w)
{
    if (w->is_draining && intake_backing_off(w->intake) > 0)
        intake_give_up_locked(w->intake, give_up_row, w);
    schema_check_run(w->schema_check);
    if (!schema_check_is_complete(w->schema_check))
        return;
    plan_cache_discard(w->plan_cache);
    backlog_run(w->backlog);
    struct command *commands = intake_take(w->intake);
    if (commands)
        batch_start(w->batch, commands);
}

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)events;
    struct worker *w = CONTAINER_OF(prepare, struct worker, turn);
    if (may_begin(w))
        begin(w);
    acks_flush(w->acks);
    partitions_turn(w->partitions);
    members_turn(w->members);
    if (w->is_draining && has_finished(w))
        ev_break(loop, EVBREAK_ALL);
}

/* ---- the partitions ---- */

static void on_gained(void *ctx, unsigned partition)
{
    struct worker *w = ctx;
    w->set.mine |= UINT64_C(1) << partition;
    backlog_rescan(w->backlog, UINT64_C(1) << partition);
    feed_gained(w->feed);
    outgoing_gained(w->outgoing);
    log_debug("partition.gained", LOG_S("pool", w->pool), LOG_I("partition", partition));
}

static void on_lost(void *ctx, unsigned partition)
{
    struct worker *w = ctx;
    w->set.mine &= ~(UINT64_C(1) << partition);
    feed_lost(w->feed, partition);
    outgoing_lost(w->outgoing, partition);
    log_debug("partition.lost", LOG_S("pool", w->pool), LOG_I("partition", partition));
}

static bool has_work(void *ctx, unsigned partition)
{
    struct worker *w = ctx;
    return acks_unacked(w->acks)[partition] > 0;
}

static void on_partitions_changed(void *ctx)
{
    struct worker *w = ctx;
    members_changed(w->members);
}

static const struct partitions_callbacks partitions_callbacks = {
    .on_gained = on_gained,
    .on_lost = on_lost,
    .has_work = has_work,
    .on_changed = on_partitions_changed,
};

/* ---- the other workers ---- */

static void describe(void *ctx, struct member_report *ret_report)
{
    const struct worker *w = ctx;
    *ret_report = (struct member_report){
        .is_able = broker_is_up(w->consumer) && schema_check_is_complete(w->schema_check) && !w->is_draining,
        .holding = partitions_held(w->partitions),
        .open = acks_open(w->acks),
        .percent_a_delivery = acks_percent_a_delivery(w->acks),
        .oldest_ms = acks_oldest_ms(w->acks),
        .parked = intake_parked(w->intake),
        .has_parcels = acks_has_parcels(w->acks),
        .is_deaf = !housekeeping_hears(w->housekeeping) && !w->is_draining,
        .is_troubled = ev_is_active(&w->pause) || !db_is_up(w->db),
        .is_lacking = schema_check_is_lacking(w->schema_check),
    };
}

static void on_assigned(void *ctx, uint64_t ours, uint64_t held_by_others)
{
    struct worker *w = ctx;
    log_info("partitions.assigned", LOG_I("ours", __builtin_popcountll(ours)),
             LOG_I("held_by_others", __builtin_popcountll(held_by_others)));
    partitions_assign(w->partitions, ours, held_by_others);
}

static void on_give_up(void *ctx, const char *why)
{
    struct worker *w = ctx;
    broker_reconnect(w->consumer, why);
}

static const struct members_callbacks members_callbacks = {
    .describe = describe,
    .on_assigned = on_assigned,
    .on_give_up = on_give_up,
};

static struct members *join(struct worker *w)
{
    const struct members_options options = {
        .pool = w->pool,
        .partitions = (unsigned)w->config->partitions,
        .silent_ms = w->config->member_silent_ms,
        .handover_ms = w->config->handover_ms,
    };
    return members_new(w->loop, w->publisher, &options, &members_callbacks, w);
}

/* ---- the database ---- */

/* Every statement here finds its rows by an index, key by key. A table that is empty when a statement is
 * planned may have a million rows before it is planned again, so the planner may not read whole tables or
 * indexes. */
static const struct db_statement set_up = {
    "worker.set_up",
    "SELECT set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),"
    " set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false)",
};

/* What a company may fill in bytes, for the triggers and functions that count it (0028_quotas.sql). */
static const struct db_statement set_quotas = {
    "worker.set_quotas",
    "SELECT set_config('cortex.deferred_bytes', $1, false), set_config('cortex.export_bytes', $2, false),"
    " set_config('cortex.export_total_bytes', $3, false)",
};

static void send_quotas(struct worker *w, struct db *db)
{
    char deferred[DB_NUMBER_SIZE], export[DB_NUMBER_SIZE], exports[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(w->config->deferred_bytes, deferred),
                                   db_number(w->config->export_max_bytes, export),
                                   db_number(w->config->export_total_bytes, exports)};
    db_send(db, &set_quotas, params, ARRAY_LEN(params), NULL, NULL);
}

static void on_db_up(void *ctx, struct db *db)
{
    struct worker *w = ctx;
    db_send(db, &set_up, NULL, 0, NULL, NULL);
    send_quotas(w, db);
    db_sync(db, NULL, NULL);
    database_limit_lock_waits(db, w->config->lock_timeout_ms);
    log_info("database.up");
    schema_check_renew(w->schema_check);
    members_changed(w->members);
    batch_resume(w->batch);
}

static void on_schema_changed(void *ctx)
{
    struct worker *w = ctx;
    long_jobs_hold(w->long_jobs, schema_check_is_lacking(w->schema_check));
    feed_hold(w->feed, !schema_check_is_complete(w->schema_check));
    outgoing_hold(w->outgoing, !schema_check_is_complete(w->schema_check));
    members_changed(w->members);
}

static void on_db_down(void *ctx, struct db *db, const char *why)
{
    (void)ctx, (void)db;
    log_warn("database.down", LOG_S("why", why));
}

static const struct db_callbacks db_callbacks = {.on_up = on_db_up, .on_down = on_db_down};

/* ---- the outside ---- */

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct worker *w = CONTAINER_OF(timer, struct worker, deadline);
    log_warn("worker.drain_incomplete", LOG_I("unacked", acks_open(w->acks)),
             LOG_I("unpublished", outbox_unpublished(w->outbox)));
    ev_break(loop, EVBREAK_ALL);
}

/* The prefetch of the process, divided evenly among all partitions. */
static uint16_t prefetch_of_partition(const struct config *config)
{
    return (uint16_t)(config->prefetch > config->partitions ? config->prefetch / config->partitions : 1);
}

static void make_engine(struct worker *w)
{
    const struct config *config = w->config;
    const struct intake_options options = {
        .batch_max = (size_t)config->batch_max,
        .share = (size_t)config->company_share,
        .park_max = (size_t)config->park_max,
        .parked_max = (size_t)config->parked_max,
        .prefetch = prefetch_of_partition(config),
        .lock_ms = config->lock_timeout_ms,
        .unacked = acks_unacked(w->acks),
        .held = acks_unacked_commands(w->acks),
    };
    w->intake = intake_new(w->loop, &w->set, &options);
    w->backlog = backlog_new(w->loop, w->db, w->pool, &w->set, w->intake, config);
    w->batch =
        batch_new(w->db, w->handlers,
                  &(struct batch_options){w->pool, topology_retries(w->pool, config), config->scheduled_max,
                                          config->scheduled_bytes, w->schema_check, w->secrets},
                  &batch_callbacks, w);
}

static void on_passed(void *ctx)
{
    struct worker *w = ctx;
    outgoing_poke(w->outgoing);
}

/* Only a pool with a consumer has a feed. */
static enum err make_feed(struct worker *w)
{
    const struct feed_options options = {
        .config = w->config,
        .pool = w->pool,
        .consumer = feed_consumer_of(w->pool),
        .partitions = &w->set,
        .broker = w->publisher,
        .on_passed = on_passed,
        .ctx = w,
    };
    w->set.count = (unsigned)w->config->partitions;
    return options.consumer ? feed_new(w->loop, &options, &w->feed) : ERR_OK;
}

/* Only a pool that does something outside sends. */
static enum err make_outgoing(struct worker *w)
{
    const struct outgoing_options options = {
        .config = w->config,
        .kind = outgoing_kind_of(w->pool),
        .secrets = w->secrets,
        .partitions = &w->set,
    };
    return options.kind ? outgoing_new(w->loop, &options, &w->outgoing) : ERR_OK;
}

enum err worker_new(struct ev_loop *loop, const struct config *config, const char *pool,
                    struct worker **ret_worker)
{
    struct worker *w = xcalloc(1, sizeof(*w));
    w->loop = loop;
    w->config = config;
    w->pool = pool;
    w->handlers = handlers_new(pool);
    ev_prepare_init(&w->turn, on_turn);
    ev_timer_init(&w->deadline, on_deadline, 0, 0);
    ev_timer_init(&w->pause, on_pause_over, 0, 0);
    w->pause_s = PAUSE_MIN_S;
    enum err err = worker_connect_broker(w);
    if (!err)
        err = database_connect(loop, config, pool, NULL, &db_callbacks, w, &w->db);
    if (!err)
        err = secrets_new(config, &w->secrets);
    if (!err)
        err = housekeeping_new(loop, config, pool, w->secrets, &w->housekeeping);
    if (!err)
        w->gateways = gateways_new(w->publisher, config, pool);
    if (!err)
        err = long_jobs_new(loop, config, pool, w->publisher, w->gateways, &w->long_jobs);
    if (!err)
        err = make_feed(w);
    if (!err)
        err = make_outgoing(w);
    if (err) {
        worker_free(w);
        return err;
    }
    w->acks = acks_new(w->consumer);
    w->schema_check = schema_check_new(loop, w->db, pool, w->handlers, on_schema_changed, w);
    make_engine(w);
    w->outbox = outbox_new(loop, w->publisher, w->gateways, on_published, w);
    w->partitions = partitions_new(w->consumer, pool, (unsigned)config->partitions,
                                   prefetch_of_partition(config), &partitions_callbacks, w);
    w->members = join(w);
    w->plan_cache = plan_cache_new(loop, w->db);
    ev_prepare_start(loop, &w->turn);
    *ret_worker = w;
    return ERR_OK;
}

/* The connections go first: their last callbacks still find everything that they call. */
void worker_free(struct worker *w)
{
    if (!w)
        return;
    ev_prepare_stop(w->loop, &w->turn);
    ev_timer_stop(w->loop, &w->deadline);
    ev_timer_stop(w->loop, &w->pause);
    housekeeping_free(w->housekeeping);
    db_free(w->db);
    batch_free(w->batch);
    backlog_free(w->backlog);
    plan_cache_free(w->plan_cache);
    schema_check_free(w->schema_check);
    long_jobs_close(w->long_jobs);
    outgoing_free(w->outgoing);
    feed_close(w->feed);
    broker_free(w->publisher);
    feed_free(w->feed);
    long_jobs_free(w->long_jobs);
    outbox_free(w->outbox);
    gateways_free(w->gateways);
    broker_free(w->consumer);
    partitions_free(w->partitions);
    members_free(w->members);
    intake_free(w->intake);
    acks_free(w->acks);
    handlers_free(w->handlers);
    secrets_free(w->secrets);
    free(w);
}

void worker_drain(struct worker *w)
{
    if (w->is_draining)
        return;
    w->is_draining = true;
    log_info("worker.draining", LOG_I("unacked", acks_open(w->acks)));
    members_leave(w->members);
    housekeeping_drain(w->housekeeping);
    backlog_stop(w->backlog);
    intake_drain(w->intake);
    long_jobs_drain(w->long_jobs);
    feed_drain(w->feed);
    outgoing_drain(w->outgoing);
    ev_timer_set(&w->deadline, (double)w->config->drain_ms / 1000, 0);
    ev_timer_start(w->loop, &w->deadline);
}

bool worker_is_ready(const struct worker *w)
{
    return w->is_declared && housekeeping_hears(w->housekeeping) && broker_is_up(w->publisher) &&
           db_is_up(w->db) && schema_check_is_complete(w->schema_check) && !w->is_draining;
}

bool worker_cannot_start(const struct worker *w)
{
    return w->cannot_start;
}
