#include "workers/fleet/members/members.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/broker/topology.h"
#include "common/process/rhythm.h"
#include "workers/fleet/members/view.h"

enum {
    ANNOUNCE_MS = 1000,
    LISTEN_MS = 300,
    LEASE_SEVENTHS = 6, /* of silent_ms: a worker that was not heard for so long gives up what it holds */
    HEARD_MAX = 4096,   /* announcements that wait in the queue of a worker whose loop does not turn */
};

enum members_state { MEMBERS_DEAF, MEMBERS_LISTENING, MEMBERS_JOINED };

struct members {
    struct ev_loop *loop;
    struct broker *broker;
    struct members_options options;
    struct members_callbacks callbacks;
    void *ctx;

    enum members_state state;
    bool is_blocked, is_leaving;
    bool has_changed; /* there is something to announce */
    int64_t bound_ms; /* when this connection began to hear */
    struct member_announcement self;
    struct members_view view;
    uint64_t ours, held; /* as on_assigned last had them */

    /* Since when a partition is held by another worker than the one it is meant for; 0: it is not. */
    int64_t astray_ms[TOPOLOGY_PARTITIONS_MAX];

    ev_timer tick, listen, lease;
    char queue[TOPOLOGY_NAME_SIZE];
    struct buf text;
};

static void set_state(struct members *m, enum members_state state)
{
    static const char *const names[] = {
        [MEMBERS_DEAF] = "deaf", [MEMBERS_LISTENING] = "listening", [MEMBERS_JOINED] = "joined"};
    log_debug("member.state", LOG_S("from", names[m->state]), LOG_S("to", names[state]));
    m->state = state;
}

static void start_timer(struct members *m, ev_timer *timer, int64_t after_ms)
{
    ev_timer_stop(m->loop, timer);
    ev_now_update(m->loop);
    ev_timer_set(timer, after_ms > 0 ? (double)after_ms / 1000 : 0, 0);
    ev_timer_start(m->loop, timer);
}

/* ---- announcing ---- */

/* An announcement that the broker does not take now follows with the next tick. */
static void announce(struct members *m)
{
    char key[TOPOLOGY_NAME_SIZE];
    m->has_changed = false;
    if (m->state == MEMBERS_DEAF || m->is_blocked)
        return;
    m->callbacks.describe(m->ctx, &m->self.report);
    m->self.sent_ms = clock_monotonic_ms();
    buf_clear(&m->text);
    member_write(&m->text, &m->self);
    snprintf(key, sizeof(key), "member.%s", m->options.pool);
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_CONTROL),
        .routing_key = slice_of(key),
        .content_type = SLICE("application/json"),
        .body = buf_slice(&m->text),
    };
    enum err err = broker_publish(m->broker, &message, NULL, NULL);
    if (err)
        log_warn("member.not_announced", LOG_S("error", err_info(err)->name));
}

/* ---- our partitions ---- */

static void assign(struct members *m, uint64_t ours, uint64_t held)
{
    if (ours == m->ours && held == m->held)
        return;
    m->ours = ours;
    m->held = held;
    m->callbacks.on_assigned(m->ctx, ours, held);
}

/* The partitions of `set` that have been astray for longer than limit_ms. */
static uint64_t astray_for(const struct members *m, uint64_t set, int64_t limit_ms)
{
    uint64_t found = 0;
    int64_t now = clock_monotonic_ms();
    for (unsigned i = 0; i < m->options.partitions; i++)
        if ((set >> i & 1) && m->astray_ms[i] && now - m->astray_ms[i] > limit_ms)
            found |= UINT64_C(1) << i;
    return found;
}

static void note_astray(struct members *m, uint64_t astray)
{
    for (unsigned i = 0; i < m->options.partitions; i++)
        if (!(astray >> i & 1))
            m->astray_ms[i] = 0;
        else if (!m->astray_ms[i])
            m->astray_ms[i] = clock_monotonic_ms();
}

static void evaluate(struct members *m)
{
    struct member_report report;
    if (m->state != MEMBERS_JOINED || m->is_blocked || m->is_leaving)
        return;
    int64_t now = clock_monotonic_ms();
    m->callbacks.describe(m->ctx, &report);
    if (report.has_parcels)
        members_view_note_parcels(&m->view, now);
    uint64_t ours = report.is_able ? members_view_ours(&m->view, m->options.partitions, now) : 0;
    uint64_t held = members_view_held(&m->view);
    note_astray(m, ours ^ report.holding);
    uint64_t overdue = astray_for(m, ours & held & ~report.holding, m->options.handover_ms);
    if (overdue & m->held)
        log_warn("partition.not_handed_over", LOG_I("count", __builtin_popcountll(overdue)));
    assign(m, ours, held & ~overdue);
}

static void give_up(struct members *m, const char *why)
{
    struct member_report report;
    m->callbacks.describe(m->ctx, &report);
    if (report.holding)
        m->callbacks.on_give_up(m->ctx, why);
}

/* Gives up partitions that we have held for too long and that are meant for other workers. While two workers
 * hold one, the commands of its companies wait on both. */
static void let_go_of_what_lingers(struct members *m)
{
    struct member_report report;
    if (m->state != MEMBERS_JOINED || m->is_blocked || m->is_leaving)
        return;
    m->callbacks.describe(m->ctx, &report);
    uint64_t lingering = report.holding & ~m->ours;
    if (astray_for(m, lingering & m->held, ANNOUNCE_MS))
        give_up(m, "another worker consumes what this one has not let go of");
    else if (astray_for(m, lingering, m->options.handover_ms / 2))
        give_up(m, "a partition could not be handed over in time");
}

/* ---- hearing ---- */

static void renew_lease(struct members *m, int64_t since_ms)
{
    start_timer(m, &m->lease, since_ms + m->options.silent_ms * LEASE_SEVENTHS / 7 - clock_monotonic_ms());
}

/* When the announcement was sent on this connection, the others have heard it, too. */
static void hear_itself(struct members *m, const struct member_announcement *said)
{
    if (said->sent_ms < m->bound_ms || m->is_blocked)
        return;
    renew_lease(m, said->sent_ms);
    if (m->state == MEMBERS_LISTENING && !ev_is_active(&m->listen))
        start_timer(m, &m->listen, LISTEN_MS);
}

void members_delivery(struct members *m, const struct broker_delivery *delivery)
{
    struct member_announcement said;
    struct member_death death;
    switch (member_read(delivery->body, &said, &death)) {
    case MEMBER_UNREADABLE:
        log_warn("member.unreadable", LOG_I("bytes", delivery->body.len));
        return;
    case MEMBER_DIED:
        members_view_remove(&m->view, &death);
        break;
    case MEMBER_ANNOUNCES:
        if (uuid_equal(&said.id, &m->self.id))
            hear_itself(m, &said);
        else if (members_view_hear(&m->view, &said, clock_monotonic_ms()))
            m->has_changed = true; /* the new worker wants to know of us */
        break;
    }
    evaluate(m);
}

static void on_listened(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct members *m = CONTAINER_OF(timer, struct members, listen);
    set_state(m, MEMBERS_JOINED);
    log_info("member.joined", LOG_I("others", m->view.count));
    evaluate(m);
}

/* The others have not heard of us for so long that they may soon take us for dead. */
static void on_lease_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct members *m = CONTAINER_OF(timer, struct members, lease);
    log_warn("member.unheard");
    if (m->state == MEMBERS_JOINED)
        set_state(m, MEMBERS_LISTENING);
    give_up(m, "this worker could not be heard by the others");
    assign(m, 0, 0);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct members *m = CONTAINER_OF(timer, struct members, tick);
    if (m->state == MEMBERS_JOINED && !m->is_blocked)
        members_view_expire(&m->view, m->options.silent_ms, clock_monotonic_ms());
    evaluate(m);
    let_go_of_what_lingers(m);
    announce(m);
}

/* ---- the connection ---- */

static void on_bound(void *arg)
{
    struct members *m = arg;
    set_state(m, MEMBERS_LISTENING);
    m->bound_ms = clock_monotonic_ms();
    members_view_thaw(&m->view, m->bound_ms);
    announce(m);
}

void members_up(struct members *m)
{
    const struct broker_header bound = {
        .name = SLICE("x-max-length"), .is_integer = true, .integer = HEARD_MAX};
    char key[TOPOLOGY_NAME_SIZE];
    topology_exclusive_queue("member", m->options.pool, m->queue, sizeof(m->queue));
    snprintf(key, sizeof(key), "member.%s", m->options.pool);
    broker_declare_queue(m->broker, &(struct broker_queue){.name = m->queue,
                                                           .exclusive = true,
                                                           .auto_delete = true,
                                                           .arguments = &bound,
                                                           .argument_count = 1});
    broker_bind(m->broker, m->queue, EXCHANGE_CONTROL, key);
    broker_consume(m->broker, m->queue, "members", 0, true, true);
    broker_after_declarations(m->broker, on_bound, m);
}

void members_down(struct members *m)
{
    if (m->is_blocked)
        renew_lease(m, clock_monotonic_ms());
    set_state(m, MEMBERS_DEAF);
    m->is_blocked = false;
    ev_timer_stop(m->loop, &m->listen);
}

/* While the broker is blocked the lease does not run out: no worker can be heard, and all of them know it. */
void members_blocked(struct members *m, bool blocked)
{
    m->is_blocked = blocked;
    if (blocked) {
        ev_timer_stop(m->loop, &m->lease);
        ev_timer_stop(m->loop, &m->listen);
        return;
    }
    m->bound_ms = clock_monotonic_ms();
    members_view_thaw(&m->view, m->bound_ms);
    note_astray(m, 0);
    if (m->state == MEMBERS_JOINED)
        renew_lease(m, m->bound_ms);
    announce(m);
}

/* ---- the outside ---- */

static void name_itself(struct members *m)
{
    m->self = (struct member_announcement){.id = uuid_v7(), .pid = getpid()};
    host_name(m->self.host);
    m->view.self = m->self.id;
}

struct members *members_new(struct ev_loop *loop, struct broker *broker,
                            const struct members_options *options, const struct members_callbacks *callbacks,
                            void *ctx)
{
    struct members *m = xcalloc(1, sizeof(*m));
    m->loop = loop;
    m->broker = broker;
    m->options = *options;
    m->callbacks = *callbacks;
    m->ctx = ctx;
    name_itself(m);
    buf_init(&m->text, MEMBER_MESSAGE_MAX);
    ev_timer_init(&m->tick, on_tick, rhythm_after(loop, ANNOUNCE_MS / 1000.0), ANNOUNCE_MS / 1000.0);
    ev_timer_init(&m->listen, on_listened, 0, 0);
    ev_timer_init(&m->lease, on_lease_over, 0, 0);
    ev_timer_start(loop, &m->tick);
    return m;
}

void members_free(struct members *m)
{
    if (!m)
        return;
    ev_timer_stop(m->loop, &m->tick);
    ev_timer_stop(m->loop, &m->listen);
    ev_timer_stop(m->loop, &m->lease);
    buf_done(&m->text);
    free(m);
}

void members_changed(struct members *m)
{
    m->has_changed = true;
}

void members_turn(struct members *m)
{
    if (!m->has_changed)
        return;
    evaluate(m);
    announce(m);
}

void members_leave(struct members *m)
{
    m->is_leaving = true;
    m->has_changed = true;
    assign(m, 0, 0);
}
