#include "workers/engine/intake/private.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/broker/topology.h"
#include "workers/engine/command/retry.h"

enum {
    LOCKS_WORTH_A_LINE = 8, /* in the log: about half a second */
    /* While companies are blocked, their tries may cost the others one part in so many of the time. */
    BLOCKED_PAUSE = 20,
};

/* ---- companies ---- */

static void on_backoff_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct company *company = CONTAINER_OF(timer, struct company, backoff);
    company->intake->backing_off--;
    company_activate(company);
}

struct company *company_get(struct intake *intake, const struct uuid *id)
{
    struct uuid_node *node = uuid_map_find(&intake->companies, id);
    if (node)
        return CONTAINER_OF(node, struct company, node);
    struct company *company = xcalloc(1, sizeof(*company));
    company->node.key = *id;
    company->intake = intake;
    company->partition = topology_partition(id, intake->partitions->count);
    command_list_init(&company->ready);
    command_list_init(&company->arrivals);
    ev_timer_init(&company->backoff, on_backoff_over, 0, 0);
    uuid_map_insert(&intake->companies, &company->node);
    return company;
}

/* Puts the company at the end of the round, unless it backs off or has nothing to run. */
void company_activate(struct company *company)
{
    struct intake *intake = company->intake;
    if (company->is_active || company->ready.count == 0 || ev_is_active(&company->backoff))
        return;
    company->is_active = true;
    company->next_active = NULL;
    *intake->last_active = company;
    intake->last_active = &company->next_active;
    intake->active_count++;
}

void company_crowd(struct company *company)
{
    bool is_locked = company->locks > 0 && company->ready.count > 0;
    if (company->is_crowded || (company->arrivals.count == 0 && company->parked == 0 && !is_locked))
        return;
    company->is_crowded = true;
    company->next_crowded = company->intake->crowded;
    company->intake->crowded = company;
}

/* The commands that a quarter of the prefetch brings, at the present size of deliveries. Past it the commands of a company
 * wait as arrivals, which may be parked. (Under load, half of the prefetch is in a batch, or done and not yet acked.) */
static size_t ready_max(const struct company *company)
{
    const struct intake *intake = company->intake;
    size_t deliveries = intake->options.unacked[company->partition];
    size_t quarter = (intake->options.prefetch + 3) / 4, most = intake_held_max(intake) / 4;
    if (deliveries > 0)
        quarter = quarter * intake->options.held[company->partition] / deliveries;
    return quarter < most ? quarter : most;
}

static bool is_closed(const struct company *company)
{
    const struct intake *intake = company->intake;
    return intake->closed >> company->partition & 1 &&
           memcmp(&company->node.key, &intake->open_upto, sizeof(intake->open_upto)) > 0;
}

void company_let_in(struct company *company)
{
    while (company->arrivals.count > 0 && !company_has_rows(company) && !is_closed(company) &&
           company->ready.count < ready_max(company))
        command_list_append(&company->ready, command_list_take(&company->arrivals));
    company_activate(company);
    company_crowd(company);
}

void company_take_back(struct company *company)
{
    struct command_list ready = company->ready;
    command_list_init(&company->ready);
    while (ready.count > 0) {
        struct command *command = command_list_take(&ready);
        if (command->row || command->verdict)
            command_list_append(&company->ready, command);
        else
            command_list_insert(&company->arrivals, command);
    }
}

void company_release(struct company *company)
{
    struct intake *intake = company->intake;
    bool is_needed = company->ready.count > 0 || company->arrivals.count > 0 || company->out > 0 ||
                     company->parked > 0 || company->is_loading || company->is_active ||
                     company->is_crowded || ev_is_active(&company->backoff);
    if (is_needed)
        return;
    uuid_map_remove(&intake->companies, &company->node);
    free(company);
}

/* ---- coming ---- */

void intake_add(struct intake *intake, struct command *command)
{
    struct company *company = company_get(intake, &command->envelope.company);
    command->company = company;
    command->order = intake->next_order++;
    /* A command that cannot be read is rejected at once: it needs no order. */
    command_list_append(command->verdict ? &company->ready : &company->arrivals, command);
    intake->waiting++;
    company_let_in(company);
}

void company_back_off(struct company *company, double seconds)
{
    struct intake *intake = company->intake;
    if (ev_is_active(&company->backoff))
        return;
    ev_now_update(intake->loop);
    ev_timer_set(&company->backoff, seconds, 0);
    ev_timer_start(intake->loop, &company->backoff);
    intake->backing_off++;
}

static void log_lock(const struct company *company, const char *event)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&company->node.key, id);
    log_info(event, LOG_S("company", id), LOG_I("tries", company->locks));
}

/* A batch that finds the company locked returns all of its commands; the first of them counts. */
static void find_locked(struct company *company, bool is_blocked)
{
    struct intake *intake = company->intake;
    if (ev_is_active(&company->backoff))
        return;
    company->is_blocked = is_blocked;
    if (++company->locks == LOCKS_WORTH_A_LINE)
        log_lock(company, "company.locked");
    company_back_off(company, retry_lock_backoff_s(company->locks));
    if (is_blocked)
        intake->blocked_until = clock_monotonic_s() + BLOCKED_PAUSE * (double)intake->options.lock_ms / 1000;
}

static void find_unlocked(struct company *company)
{
    if (company->locks >= LOCKS_WORTH_A_LINE)
        log_lock(company, "company.unlocked");
    company->locks = 0;
    company->is_blocked = false;
}

void intake_return(struct intake *intake, struct command *command)
{
    struct company *company = command->company;
    company->out--;
    intake->waiting++;
    if (command->is_parked) {
        command->is_parked = false;
        command->deferral = DEFER_NONE;
        company->parking--;
        command_list_insert(&company->arrivals, command);
    } else {
        command_list_insert(&company->ready, command);
    }
    if (command->outcome == COMMAND_RETRY) {
        find_unlocked(company);
        company_back_off(company, retry_backoff_s(command));
    } else if (command->outcome != COMMAND_AGAIN) {
        find_locked(company, command->outcome == COMMAND_BLOCKED);
    }
    company_let_in(company);
}

void intake_settled(struct command *command)
{
    struct company *company = command->company;
    company->out--;
    if (command->is_parked) /* which a company that is locked does, too */
        company->parking--;
    else
        find_unlocked(company);
    if (command->outcome == COMMAND_DEFERRED &&
        (command->deferral == DEFER_TURN || command->finding == FINDING_IN_TURN)) {
        company->parked++;
        company_take_back(company);
    }
    if (command->row == DEFER_TURN)
        company->loaded--;
    command->company = NULL;
    company_let_in(company);
    company_release(company);
}

/* ---- going ---- */

void intake_drain(struct intake *intake)
{
    intake->is_draining = true;
}

struct giving_up {
    void (*take)(void *arg, struct command *row);
    void *arg;
};

static void give_up_company(struct uuid_node *node, void *arg)
{
    const struct giving_up *to = arg;
    struct company *company = CONTAINER_OF(node, struct company, node);
    struct intake *intake = company->intake;
    if (company->locks == 0 || !ev_is_active(&company->backoff))
        return;
    struct command_list ready = company->ready;
    command_list_init(&company->ready);
    while (ready.count > 0) {
        struct command *command = command_list_take(&ready);
        if (!command->row) {
            command_list_append(&company->ready, command);
            continue;
        }
        intake->waiting--;
        company->loaded -= command->row == DEFER_TURN;
        command->company = NULL;
        to->take(to->arg, command);
    }
    if (company->ready.count == 0 && company->arrivals.count == 0) {
        ev_timer_stop(intake->loop, &company->backoff);
        intake->backing_off--;
    }
    company_release(company);
}

void intake_give_up_locked(struct intake *intake, void (*take)(void *arg, struct command *row), void *arg)
{
    struct giving_up to = {take, arg};
    uuid_map_each(&intake->companies, give_up_company, &to);
}

static void drop(struct intake *intake, struct command_list *list)
{
    struct command_list kept;
    command_list_init(&kept);
    while (list->count > 0) {
        struct command *command = command_list_take(list);
        if (command->row) {
            command_list_append(&kept, command);
            continue;
        }
        intake->waiting--;
        command_free(command);
    }
    command_list_init(list);
    while (kept.count > 0)
        command_list_append(list, command_list_take(&kept));
}

static void drop_deliveries(struct uuid_node *node, void *arg)
{
    struct company *company = CONTAINER_OF(node, struct company, node);
    drop(arg, &company->ready);
    drop(arg, &company->arrivals);
    company_release(company);
}

void intake_clear(struct intake *intake)
{
    uuid_map_each(&intake->companies, drop_deliveries, intake);
}

static void free_company(struct uuid_node *node, void *arg)
{
    struct company *company = CONTAINER_OF(node, struct company, node);
    struct intake *intake = arg;
    ev_timer_stop(intake->loop, &company->backoff);
    while (company->ready.count > 0)
        command_free(command_list_take(&company->ready));
    while (company->arrivals.count > 0)
        command_free(command_list_take(&company->arrivals));
    uuid_map_remove(&intake->companies, node);
    free(company);
}

/* ---- the outside ---- */

struct intake *intake_new(struct ev_loop *loop, const struct partition_set *partitions,
                          const struct intake_options *options)
{
    struct intake *intake = xcalloc(1, sizeof(*intake));
    assert(partitions->count > 0);
    intake->loop = loop;
    intake->partitions = partitions;
    intake->options = *options;
    intake->last_active = &intake->active;
    uuid_map_init(&intake->companies);
    return intake;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    uuid_map_each(&intake->companies, free_company, intake);
    uuid_map_done(&intake->companies);
    free(intake->ids.slots);
    free(intake);
}

bool intake_is_locked(const struct intake *intake, const struct uuid *id)
{
    struct uuid_node *node = uuid_map_find(&intake->companies, id);
    return node && CONTAINER_OF(node, struct company, node)->locks > 0;
}

size_t intake_waiting(const struct intake *intake)
{
    return intake->waiting;
}

size_t intake_backing_off(const struct intake *intake)
{
    return intake->backing_off;
}

size_t intake_companies(const struct intake *intake)
{
    return intake->companies.count;
}
