#include "common/db/turns.h"

/* So many queries of a company may follow each other before the next company's: fewer changes of the company in
 * one transaction. */
enum { TURN_MAX = 4 };

void turns_init(struct turns *turns, size_t running_max, double share)
{
    *turns = (struct turns){.running_max = running_max, .share = share};
    uuid_map_init(&turns->companies);
    TAILQ_INIT(&turns->line);
    TAILQ_INIT(&turns->owing);
    TAILQ_INIT(&turns->resting);
}

static struct turns_company *find(const struct turns *turns, const struct uuid *key)
{
    struct uuid_node *node = uuid_map_find(&turns->companies, key);
    return node ? CONTAINER_OF(node, struct turns_company, node) : NULL;
}

static struct turns_company *company_of(struct turns *turns, const struct uuid *key)
{
    struct turns_company *company = find(turns, key);
    if (company)
        return company;
    company = xcalloc(1, sizeof(*company));
    company->node.key = *key;
    TAILQ_INIT(&company->waiting);
    uuid_map_insert(&turns->companies, &company->node);
    return company;
}

static void leave_line(struct turns *turns, struct turns_company *company)
{
    if (company->is_in_line)
        TAILQ_REMOVE(&turns->line, company, line);
    company->is_in_line = false;
    company->taken = 0;
}

/* Puts the company where it belongs after a change; frees it when it has no query left. */
static void settle(struct turns *turns, struct turns_company *company)
{
    bool may_run = !TAILQ_EMPTY(&company->waiting) && company->running < turns->running_max &&
                   company->account != TURNS_RESTING;
    if (!may_run || company->taken >= TURN_MAX)
        leave_line(turns, company);
    if (may_run && !company->is_in_line) {
        TAILQ_INSERT_TAIL(&turns->line, company, line);
        company->is_in_line = true;
    }
    if (!TAILQ_EMPTY(&company->waiting) || company->running > 0 || company->account != TURNS_EVEN)
        return;
    uuid_map_remove(&turns->companies, &company->node);
    free(company);
}

void turns_add(struct turns *turns, struct turn *turn, const struct uuid *key, bool at_front)
{
    struct turns_company *company = company_of(turns, key);
    turn->company = company;
    if (at_front)
        TAILQ_INSERT_HEAD(&company->waiting, turn, waiting);
    else
        TAILQ_INSERT_TAIL(&company->waiting, turn, waiting);
    turns->waiting++;
    company->waiting_count++;
    settle(turns, company);
}

size_t turns_held(const struct turns *turns, const struct uuid *key)
{
    const struct turns_company *company = find(turns, key);
    return company ? company->waiting_count + company->running : 0;
}

struct turn *turns_next(const struct turns *turns)
{
    const struct turns_company *company = TAILQ_FIRST(&turns->line);
    return company ? TAILQ_FIRST(&company->waiting) : NULL;
}

void turns_take(struct turns *turns, struct turn *turn)
{
    struct turns_company *company = turn->company;
    TAILQ_REMOVE(&company->waiting, turn, waiting);
    turns->waiting--;
    company->waiting_count--;
    company->running++;
    company->taken++;
    settle(turns, company);
}

void turns_end(struct turns *turns, struct turn *turn)
{
    struct turns_company *company = TAKE(turn->company);
    company->running--;
    settle(turns, company);
}

void turns_remove(struct turns *turns, struct turn *turn)
{
    struct turns_company *company = TAKE(turn->company);
    TAILQ_REMOVE(&company->waiting, turn, waiting);
    turns->waiting--;
    company->waiting_count--;
    settle(turns, company);
}

static void find_waiting(struct uuid_node *node, void *arg)
{
    struct turn **found = arg;
    if (!*found)
        *found = TAILQ_FIRST(&CONTAINER_OF(node, struct turns_company, node)->waiting);
}

struct turn *turns_any(struct turns *turns)
{
    struct turn *found = NULL;
    uuid_map_each(&turns->companies, find_waiting, &found);
    return found;
}

/* ---- what companies owe ---- */

static double credit(const struct turns *turns)
{
    return TURNS_CREDIT_S / turns->share;
}

/* Not the same as being in line: a company rests also while nothing of it waits. */
static void set_account(struct turns *turns, struct turns_company *company, enum turns_account account)
{
    if (company->account != TURNS_EVEN)
        TAILQ_REMOVE(company->account == TURNS_OWING ? &turns->owing : &turns->resting, company, debtors);
    turns->resting_count -= company->account == TURNS_RESTING;
    turns->resting_count += account == TURNS_RESTING;
    company->account = account;
    if (account == TURNS_EVEN)
        return;
    struct turns_line *debtors = account == TURNS_OWING ? &turns->owing : &turns->resting;
    struct turns_company *before = TAILQ_LAST(debtors, turns_line);
    while (before && before->owes_until > company->owes_until)
        before = TAILQ_PREV(before, turns_line, debtors);
    if (before)
        TAILQ_INSERT_AFTER(debtors, before, company, debtors);
    else
        TAILQ_INSERT_HEAD(debtors, company, debtors);
}

void turns_charge(struct turns *turns, const struct uuid *key, double seconds, double now)
{
    struct turns_company *company = company_of(turns, key);
    size_t payers = turns->resting_count + (company->account != TURNS_RESTING);
    double from = company->owes_until > now ? company->owes_until : now;
    double until = from + seconds * (double)payers / turns->share,
           latest = now + credit(turns) + TURNS_REST_MAX_S;
    company->owes_until = until < latest ? until : latest;
    set_account(turns, company, company->owes_until > now + credit(turns) ? TURNS_RESTING : TURNS_OWING);
    settle(turns, company);
}

bool turns_rests(const struct turns *turns, const struct uuid *key)
{
    const struct turns_company *company = find(turns, key);
    return company && company->account == TURNS_RESTING;
}

void turns_wake(struct turns *turns, double now)
{
    struct turns_company *company;
    while ((company = TAILQ_FIRST(&turns->resting)) && company->owes_until <= now + credit(turns)) {
        set_account(turns, company, TURNS_OWING);
        settle(turns, company);
    }
    while ((company = TAILQ_FIRST(&turns->owing)) && company->owes_until <= now) {
        set_account(turns, company, TURNS_EVEN);
        settle(turns, company);
    }
}

double turns_next_wake(const struct turns *turns)
{
    const struct turns_company *company = TAILQ_FIRST(&turns->resting);
    return company && turns->waiting > 0 ? company->owes_until - credit(turns) : 0;
}

void turns_done(struct turns *turns)
{
    struct turns_company *company;
    while ((company = TAILQ_FIRST(&turns->resting)) || (company = TAILQ_FIRST(&turns->owing))) {
        set_account(turns, company, TURNS_EVEN);
        settle(turns, company);
    }
    uuid_map_done(&turns->companies);
}
