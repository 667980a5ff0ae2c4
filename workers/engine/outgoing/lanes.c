#include "workers/engine/outgoing/lanes.h"

#include <assert.h>
#include <math.h>

#include "common/base/clock.h"

enum { AHEAD = 4 }; /* acts in hand for each that may be under way */

static const double MARGIN_S =
    5; /* between the longest act and the end of the lease: to record its outcome */

/* ---- places ---- */

static struct lane_list *list_of(struct lanes *l, enum lane_place place)
{
    return place == READY ? &l->ready : place == PACED ? &l->paced : place == CROWDED ? &l->crowded : NULL;
}

static void enter(struct lanes *l, struct lane *lane, enum lane_place place)
{
    if (list_of(l, lane->place))
        TAILQ_REMOVE(list_of(l, lane->place), lane, link);
    lane->place = place;
    if (list_of(l, place))
        TAILQ_INSERT_TAIL(list_of(l, place), lane, link);
}

/* How many of its acts may be under way. */
static size_t allowed(const struct lane *lane)
{
    if (lane->is_stopped || lane->is_leaving || lane->is_lost)
        return 0;
    return lane->is_slow || lane->failures >= FAILURES_MAX ? 1 : (size_t)lane->concurrency;
}

static bool has_room(const struct lane *lane)
{
    return !TAILQ_EMPTY(&lane->queued) && lane->under_way < allowed(lane);
}

static void look_for_room(struct lanes *l, struct lane *lane)
{
    if (lane->place == RESTING && has_room(lane))
        enter(l, lane, READY);
    else if (lane->place != RESTING && !has_room(lane))
        enter(l, lane, RESTING);
}

/* ---- tenants ---- */

static struct tenant *tenant_of(struct lanes *l, const struct uuid *company)
{
    struct uuid_node *node = uuid_map_find(&l->tenants, company);
    struct tenant *tenant = node ? CONTAINER_OF(node, struct tenant, node) : NULL;
    if (!tenant) {
        tenant = xcalloc(1, sizeof(*tenant));
        tenant->node.key = *company;
        uuid_map_insert(&l->tenants, &tenant->node);
    }
    tenant->lanes++;
    return tenant;
}

static void tenant_let_go(struct lanes *l, struct tenant *tenant)
{
    if (--tenant->lanes > 0)
        return;
    uuid_map_remove(&l->tenants, &tenant->node);
    free(tenant);
}

/* ---- lanes ---- */

struct lane *lanes_find(const struct lanes *l, const struct uuid *id)
{
    struct uuid_node *node = uuid_map_find(&l->by_id, id);
    return node ? CONTAINER_OF(node, struct lane, node) : NULL;
}

static struct lane *add(struct lanes *l, const struct uuid *company, const struct uuid *id)
{
    struct lane *lane = xcalloc(1, sizeof(*lane));
    lane->node.key = *id;
    lane->tenant = tenant_of(l, company);
    lane->concurrency = 1;
    lane->next = INFINITY;
    TAILQ_INIT(&lane->queued);
    TAILQ_INIT(&lane->acts);
    uuid_map_insert(&l->by_id, &lane->node);
    TAILQ_INSERT_TAIL(&l->all, lane, of_all);
    l->held++;
    return lane;
}

struct lane *lanes_take(struct lanes *l, const struct uuid *company, const struct uuid *id, int64_t lease,
                        double until)
{
    struct lane *lane = lanes_find(l, id);
    if (lane && !uuid_equal(&lane->tenant->node.key, company))
        return NULL;
    if (lane && lane->lease != lease) {
        lanes_lose(l, lane);
        lane = NULL;
    }
    if (!lane)
        lane = add(l, company, id);
    lane->lease = lease;
    lane->until = until;
    lane->busy_at = clock_monotonic_s();
    lane->needs_due = true;
    lane->is_stopped = lane->is_leaving = false;
    look_for_room(l, lane);
    return lane;
}

static void free_if_over(struct lanes *l, struct lane *lane)
{
    if (!lane->is_lost || lane->in_hand > 0)
        return;
    TAILQ_REMOVE(&l->all, lane, of_all);
    tenant_let_go(l, lane->tenant);
    free(lane);
}

static void act_free(struct act *act)
{
    TAILQ_REMOVE(&act->lane->acts, act, of_lane);
    act->lane->in_hand--;
    act->lanes->in_hand--;
    free(act->detail);
    free(act);
}

void lanes_drop_queued(struct lanes *l, struct lane *lane)
{
    struct act *act;
    while ((act = TAILQ_FIRST(&lane->queued))) {
        TAILQ_REMOVE(&lane->queued, act, link);
        lane->queued_count--;
        act_free(act);
        lane->needs_due = true;
    }
    look_for_room(l, lane);
}

void lanes_lose(struct lanes *l, struct lane *lane)
{
    lanes_drop_queued(l, lane);
    enter(l, lane, RESTING);
    uuid_map_remove(&l->by_id, &lane->node);
    l->held--;
    lane->is_lost = true;
    free_if_over(l, lane);
}

void lanes_forget(struct lanes *l, struct lane *lane)
{
    assert(lane->in_hand == 0);
    lanes_lose(l, lane);
}

/* ---- acts ---- */

size_t lane_wants(const struct lanes *l, const struct lane *lane)
{
    size_t most = allowed(lane) == 1 ? 2 : AHEAD * allowed(lane);
    size_t room = l->in_hand < 2 * l->max ? 2 * l->max - l->in_hand : 0;
    bool has_few = 2 * lane->in_hand <= most && allowed(lane) > 0;
    size_t wanted = has_few ? most - lane->in_hand : 0;
    return wanted < room ? wanted : room;
}

/* Copies the columns behind the act, or, without one, says how much room they take. */
static size_t copy_columns(struct act *act, const struct slice columns[OUTGOING_COLUMNS_MAX])
{
    size_t size = 0;
    for (size_t i = 0; i < OUTGOING_COLUMNS_MAX; i++) {
        struct slice text = columns[i];
        if (act && text.data) {
            memcpy(act->text + size, text.data, text.len);
            act->text[size + text.len] = '\0';
            act->out.columns[i] = (struct slice){act->text + size, text.len};
        }
        size += text.data ? text.len + 1 : 0;
    }
    return size;
}

void lanes_queue(struct lanes *l, struct lane *lane, const struct uuid *id,
                 const struct slice columns[OUTGOING_COLUMNS_MAX])
{
    struct act *act = xcalloc(1, sizeof(*act) + copy_columns(NULL, columns));
    (void)copy_columns(act, columns);
    act->out.id = *id;
    act->out.company = lane->tenant->node.key;
    act->out.lane = lane->node.key;
    act->lane = lane;
    act->lanes = l;
    TAILQ_INSERT_TAIL(&lane->acts, act, of_lane);
    TAILQ_INSERT_TAIL(&lane->queued, act, link);
    lane->queued_count++;
    lane->in_hand++;
    l->in_hand++;
    look_for_room(l, lane);
}

static void begin_one(struct lanes *l, struct lane *lane, double now)
{
    struct act *act = TAILQ_FIRST(&lane->queued);
    TAILQ_REMOVE(&lane->queued, act, link);
    lane->queued_count--;
    lane->under_way++;
    lane->tenant->under_way++;
    l->under_way++;
    lane->paced = (lane->paced > now ? lane->paced : now) + lane->pace_s;
    enter(l, lane, RESTING);
    look_for_room(l, lane);
    l->kind->begin(l->sender, &act->out);
}

/* Its lease may end before the act; it is renewed soon. */
static bool is_too_late(const struct lanes *l, const struct lane *lane, double now)
{
    return lane->until - now < l->kind->act_max_s + MARGIN_S;
}

void lanes_begin(struct lanes *l)
{
    double now = clock_monotonic_s();
    struct lane *lane;
    while (l->under_way < l->max && (lane = TAILQ_FIRST(&l->ready))) {
        if (lane->tenant->under_way >= l->share_max)
            enter(l, lane, CROWDED);
        else if (lane->paced > now || is_too_late(l, lane, now))
            enter(l, lane, PACED);
        else
            begin_one(l, lane, now);
    }
}

bool lanes_pace(struct lanes *l)
{
    double now = clock_monotonic_s();
    struct lane *lane, *next;
    for (lane = TAILQ_FIRST(&l->paced); lane; lane = next) {
        next = TAILQ_NEXT(lane, link);
        if (lane->paced <= now && !is_too_late(l, lane, now))
            enter(l, lane, READY);
    }
    return !TAILQ_EMPTY(&l->paced);
}

static void make_room(struct lanes *l)
{
    struct lane *lane;
    while ((lane = TAILQ_FIRST(&l->crowded)))
        enter(l, lane, READY);
}

/* What the outcome says of the destination. */
static void learn(struct lanes *l, struct lane *lane, const struct outgoing_outcome *outcome)
{
    double again = clock_monotonic_s() + outcome->again_s;
    lane->failures = outcome->is_success ? 0 : lane->failures + 1;
    lane->is_slow = !outcome->is_success && (lane->is_slow || outcome->is_slow);
    lane->is_stopped |= outcome->is_stop;
    if (lane->is_stopped)
        lanes_drop_queued(l, lane);
    if (outcome->again_s >= 0 && again < lane->next)
        lane->next = again;
}

void outgoing_done(struct outgoing_act *out, const struct outgoing_outcome *outcome)
{
    struct act *act = CONTAINER_OF(out, struct act, out);
    struct lane *lane = act->lane;
    struct lanes *l = act->lanes;
    act->outcome = *outcome;
    act->detail = slice_dup(outcome->detail);
    act->outcome.detail = slice_of(act->detail);
    lane->under_way--;
    lane->tenant->under_way--;
    l->under_way--;
    lane->busy_at = clock_monotonic_s();
    learn(l, lane, outcome);
    make_room(l);
    if (!lane->is_lost)
        look_for_room(l, lane);
    TAILQ_INSERT_TAIL(&l->ended, act, link);
    l->ended_count++;
    l->on_ended(l->ctx);
}

void lanes_settle(struct act *act)
{
    struct lane *lane = act->lane;
    struct lanes *l = act->lanes;
    act_free(act);
    free_if_over(l, lane);
}

/* ---- all ---- */

void lanes_init(struct lanes *l)
{
    uuid_map_init(&l->by_id);
    uuid_map_init(&l->tenants);
    TAILQ_INIT(&l->all);
    TAILQ_INIT(&l->ready);
    TAILQ_INIT(&l->paced);
    TAILQ_INIT(&l->crowded);
    TAILQ_INIT(&l->ended);
}

void lanes_done(struct lanes *l)
{
    struct lane *lane, *next;
    struct act *act;
    for (lane = TAILQ_FIRST(&l->all); lane; lane = next) {
        next = TAILQ_NEXT(lane, of_all);
        lanes_drop_queued(l, lane);
        while ((act = TAILQ_FIRST(&lane->acts)))
            act_free(act);
        if (lane->is_lost)
            free_if_over(l, lane);
        else
            lanes_lose(l, lane);
    }
    uuid_map_done(&l->by_id);
    uuid_map_done(&l->tenants);
}
