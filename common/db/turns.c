#include "common/db/turns.h"

/* So many queries of a company may follow each other before the next company's: fewer changes of the company in
 * one transaction. */
enum { TURN_MAX = 4 };

void turns_init(struct turns *turns, size_t running_max)
{
    uuid_map_init(&turns->companies);
    TAILQ_INIT(&turns->line);
    turns->waiting = 0;
    turns->running_max = running_max;
}

void turns_done(struct turns *turns)
{
    uuid_map_done(&turns->companies);
}

static struct turns_company *company_of(struct turns *turns, const struct uuid *key)
{
    struct uuid_node *node = uuid_map_find(&turns->companies, key);
    if (node)
        return CONTAINER_OF(node, struct turns_company, node);
    struct turns_company *company = xcalloc(1, sizeof(*company));
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
    bool may_run = !TAILQ_EMPTY(&company->waiting) && company->running < turns->running_max;
    if (!may_run || company->taken >= TURN_MAX)
        leave_line(turns, company);
    if (may_run && !company->is_in_line) {
        TAILQ_INSERT_TAIL(&turns->line, company, line);
        company->is_in_line = true;
    }
    if (!TAILQ_EMPTY(&company->waiting) || company->running > 0)
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
    const struct uuid_node *node = uuid_map_find(&turns->companies, key);
    if (!node)
        return 0;
    const struct turns_company *company = CONTAINER_OF(node, struct turns_company, node);
    return company->waiting_count + company->running;
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
