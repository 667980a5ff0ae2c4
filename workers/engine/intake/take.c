#include "workers/engine/intake/private.h"

#include "common/base/clock.h"

enum {
    BYTES_MAX = 1 << 20,    /* of a batch: bodies that are run, and as many that are parked */
    BYTES_A_UNIT = 4 << 10, /* a command costs one unit, and one for each of these in its body */
    FULL_PERCENT = 75,      /* of the prefetch, or of intake_held_max: from here on arrivals are parked */
};

/* ---- ids ---- */

static void ids_clear(struct ids *ids, size_t max)
{
    size_t size = 2;
    while (size < 2 * max)
        size *= 2;
    if (size > ids->size) {
        ids->slots = xrealloc(ids->slots, size * sizeof(struct command *));
        ids->size = size;
    }
    memset(ids->slots, 0, ids->size * sizeof(struct command *));
}

static bool is_same_command(const struct command *a, const struct command *b)
{
    return uuid_equal(&a->envelope.id, &b->envelope.id) &&
           uuid_equal(&a->envelope.company, &b->envelope.company);
}

/* Returns false when the id is there already. The hash is the last octets of the id, which are random. */
static bool ids_add(struct ids *ids, const struct command *command)
{
    size_t at;
    memcpy(&at, command->envelope.id.octet + sizeof(command->envelope.id.octet) - sizeof(at), sizeof(at));
    for (;; at++) {
        const struct command **slot = &ids->slots[at & (ids->size - 1)];
        if (!*slot) {
            *slot = command;
            return true;
        }
        if (is_same_command(*slot, command))
            return false;
    }
}

/* ---- whose turn it is ---- */

struct taking {
    struct intake *intake;
    struct command_list commands;
    size_t bytes;
    bool is_alone;     /* the first command goes without others */
    bool is_of_parcel; /* it goes with those of its parcel only */
};

static int64_t units_of(const struct command *command)
{
    return 1 + (int64_t)(command->envelope.body.len / BYTES_A_UNIT);
}

static bool is_full(const struct taking *t)
{
    return t->commands.count >= t->intake->options.batch_max || t->bytes >= BYTES_MAX;
}

/* A company that is alone and has no backlog may have the whole batch. One with a backlog may not, because
 * others come while the batch is at work. */
static size_t share_of(const struct taking *t, const struct company *company, bool is_alone)
{
    const struct intake_options *options = &t->intake->options;
    bool has_backlog = company->arrivals.count > 0 || company_has_rows(company) || company->loaded > 0;
    if (!is_alone)
        return options->share;
    return has_backlog ? INTAKE_ALONE * options->share : options->batch_max;
}

static void take_first(struct taking *t, struct company *company)
{
    struct command *command = command_list_take(&company->ready);
    t->bytes += command->envelope.body.len;
    t->intake->waiting--;
    company->out++;
    command_list_append(&t->commands, command);
}

/* The tries of all companies that are blocked share one pause, since each of them may hold up the batches. */
static bool is_pausing(const struct company *company)
{
    return company->is_blocked && company->intake->blocked_until > clock_monotonic_s();
}

static bool goes_alone(const struct company *company)
{
    return company->ready.count > 0 && (company->ready.first->was_begun || company->is_blocked);
}

/* Its first command was begun, came in a parcel, and can go with others of it. */
static bool goes_with_parcel(const struct company *company)
{
    const struct command *first = company->ready.first;
    return first && first->was_begun && first->is_of_parcel && !first->has_begun_mark && !first->verdict &&
           company->locks == 0;
}

static bool is_of_this_parcel(const struct taking *t, const struct company *company)
{
    const struct command *first = t->commands.first, *command = company->ready.first;
    return t->is_of_parcel && goes_with_parcel(company) && command->tag == first->tag &&
           command->epoch == first->epoch;
}

/* What goes alone or with its parcel goes without others. */
static bool may_go_along(const struct taking *t, const struct company *company)
{
    return t->commands.count == 0 || is_of_this_parcel(t, company) ||
           (!t->is_of_parcel && !goes_alone(company));
}

/* What goes alone finds others in the batch: it ends this batch and begins the next one. */
static bool is_to_begin_the_next(const struct taking *t, const struct company *company)
{
    return !may_go_along(t, company) && goes_alone(company) && !is_pausing(company);
}

/* The company has its turn, and takes as much as its deficit pays for. */
static void take_turn(struct taking *t, struct company *company, bool is_alone)
{
    size_t share = share_of(t, company, is_alone);
    company->deficit += (int64_t)share;
    while (company->ready.count > 0 && !is_full(t)) {
        struct command *command = company->ready.first;
        if (units_of(command) > company->deficit || !may_go_along(t, company))
            break;
        if (!ids_add(&t->intake->ids, command))
            break;
        if (t->commands.count == 0) {
            t->is_of_parcel = goes_with_parcel(company);
            t->is_alone = goes_alone(company) && !t->is_of_parcel;
        }
        company->deficit -= units_of(command);
        take_first(t, company);
        if (t->is_alone || company->locks > 0)
            break;
    }
    if (company->ready.count == 0)
        company->deficit = 0;
    else if (company->deficit > (int64_t)share && units_of(company->ready.first) <= company->deficit)
        company->deficit = (int64_t)share; /* the batch was full: nothing is saved up */
}

static struct company *next_active(struct intake *intake)
{
    struct company *company = intake->active;
    intake->active = company->next_active;
    if (!intake->active)
        intake->last_active = &intake->active;
    intake->active_count--;
    company->is_active = false;
    return company;
}

static bool runs_alone(const struct taking *t)
{
    return t->commands.count > 0 && t->is_alone;
}

/* Companies that were passed over and keep their places in the round. */
struct passed {
    struct company *first, **last;
    size_t count;
};

static void pass(struct passed *passed, struct company *company)
{
    company->next_active = NULL;
    company->is_active = true;
    *passed->last = company;
    passed->last = &company->next_active;
    passed->count++;
}

static void put_in_front(struct intake *intake, const struct passed *passed)
{
    if (passed->count == 0)
        return;
    *passed->last = intake->active;
    if (!intake->active)
        intake->last_active = passed->last;
    intake->active = passed->first;
    intake->active_count += passed->count;
}

/* One round: each company has at most one turn. */
static void take_round(struct taking *t)
{
    struct intake *intake = t->intake;
    struct passed passed = {.last = &passed.first};
    size_t companies = intake->active_count;
    bool is_alone = companies == 1;
    for (size_t i = 0; i < companies && !is_full(t) && !runs_alone(t); i++) {
        if (!t->is_of_parcel && is_to_begin_the_next(t, intake->active))
            break;
        struct company *company = next_active(intake);
        if (t->is_of_parcel && !is_of_this_parcel(t, company))
            pass(&passed, company);
        else if (is_pausing(company))
            company_back_off(company, intake->blocked_until - clock_monotonic_s());
        else if (!ev_is_active(&company->backoff))
            take_turn(t, company, is_alone);
        company_let_in(company);
        company_release(company);
    }
    put_in_front(intake, &passed);
}

/* ---- parking ---- */

/* The rows of the company will not be loaded here, so the commands behind them leave; so do those that wait for
 * another transaction. */
static bool is_leaving(const struct intake *intake, const struct company *company)
{
    return (company_has_rows(company) || company->locks > 0) &&
           (intake->is_draining || !partition_is_mine(intake->partitions, company->partition));
}

static bool is_crowded(const struct intake *intake, const struct company *company)
{
    if (ev_is_active(&company->backoff) && company->locks == 0)
        return false; /* its oldest is tried again in a moment */
    if (is_leaving(intake, company))
        return true;
    if (company->parked + company->parking >= intake->options.parked_max)
        return false;
    return intake->options.unacked[company->partition] * 100 >= intake->options.prefetch * FULL_PERCENT ||
           intake->options.held[company->partition] * 100 >= intake_held_max(intake) * FULL_PERCENT;
}

/* Parks arrivals, the oldest first, behind the rows that are there. When this process dies, whoever runs
 * those rows finds behind them the deliveries that were not acked. So nothing may become a row while an older
 * delivery of its company stays here, except for those in this batch. */
static void park(struct taking *t, struct company *company, size_t *room)
{
    company_take_back(company);
    while (company->arrivals.count > 0 && *room > 0 && t->bytes < 2 * BYTES_MAX) {
        struct command *command = company->arrivals.first;
        if (!ids_add(&t->intake->ids, command))
            break;
        command_list_take(&company->arrivals);
        command->deferral = DEFER_TURN;
        command->is_parked = true;
        t->bytes += command->envelope.body.len;
        t->intake->waiting--;
        company->out++;
        company->parking++;
        (*room)--;
        command_list_append(&t->commands, command);
    }
}

static void park_surplus(struct taking *t)
{
    struct intake *intake = t->intake;
    size_t room = intake->options.park_max;
    struct company *company = TAKE(intake->crowded);
    while (company) {
        struct company *next = company->next_crowded;
        company->is_crowded = false;
        if (room > 0 && is_crowded(intake, company)) {
            park(t, company, &room);
            company_let_in(company);
        }
        company_crowd(company);
        company_release(company);
        company = next;
    }
}

struct command *intake_take(struct intake *intake)
{
    struct taking t = {.intake = intake};
    command_list_init(&t.commands);
    ids_clear(&intake->ids, intake->options.batch_max + intake->options.park_max);
    /* A body that costs more than one turn waits for several. */
    while (intake->active_count > 0 && t.commands.count == 0)
        take_round(&t);
    if (!runs_alone(&t) && !t.is_of_parcel)
        park_surplus(&t);
    return t.commands.first;
}
