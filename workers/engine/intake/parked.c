#include "workers/engine/intake/private.h"

enum { HERE_MAX = 8192 }; /* commands, from where on no more rows are requested */

/* The next rows are requested before those that are here are used up. */
static bool wants_rows(const struct intake *intake, const struct company *company)
{
    return company->parked > 0 && !company->is_loading && company->ready.count < INTAKE_ROWS / 2 &&
           partition_is_mine(intake->partitions, company->partition);
}

static size_t count_wanting(const struct intake *intake)
{
    size_t count = 0;
    for (const struct company *company = intake->crowded; company; company = company->next_crowded)
        count += wants_rows(intake, company);
    return count;
}

/* When many companies want rows, chance decides which get them first, so that each does in the end. Those that
 * back off keep what they have, so others may have as much more. */
size_t intake_wants(struct intake *intake, struct intake_want *wants, size_t max)
{
    size_t count = 0, skipped = 0, wanting = count_wanting(intake);
    if (intake->waiting >= HERE_MAX + intake->backing_off * INTAKE_ROWS)
        return 0;
    if (wanting > max)
        skipped = arc4random_uniform((uint32_t)(wanting - max + 1));
    for (struct company *company = intake->crowded; company && count < max; company = company->next_crowded) {
        if (!wants_rows(intake, company) || skipped-- > 0)
            continue;
        skipped = 0;
        company->is_loading = true;
        wants[count++] = (struct intake_want){company->node.key, company->place};
    }
    return count;
}

size_t intake_parked(const struct intake *intake)
{
    size_t rows = 0;
    for (const struct company *company = intake->crowded; company; company = company->next_crowded)
        if (partition_is_mine(intake->partitions, company->partition))
            rows += company->parked;
    return rows;
}

void intake_load(struct intake *intake, struct command *command)
{
    struct company *company = company_get(intake, &command->envelope.company);
    command->company = company;
    command->order = intake->next_order++;
    if (command->row == DEFER_TURN) {
        company->loaded++;
        company->place = command->place;
    }
    command_list_append(&company->ready, command);
    intake->waiting++;
    company_activate(company);
}

void intake_loaded(struct intake *intake, const struct uuid *id, size_t rows, bool is_last)
{
    struct company *company = company_get(intake, id);
    company->is_loading = false;
    company->parked = is_last || company->parked < rows ? 0 : company->parked - rows;
    if (!is_last && company->parked == 0)
        company->parked = 1; /* more than we knew of */
    company_let_in(company);
    company_release(company);
}

void intake_found(struct intake *intake, const struct uuid *id, size_t rows)
{
    struct company *company = company_get(intake, id);
    if (!company_has_rows(company) && !company->is_loading) {
        company->parked = rows;
        company->found_in = intake->closings;
        company_take_back(company);
    }
    company_let_in(company);
    company_release(company);
}

void intake_counted(struct intake *intake, const struct uuid *id, size_t rows)
{
    struct uuid_node *node = uuid_map_find(&intake->companies, id);
    struct company *company = node ? CONTAINER_OF(node, struct company, node) : NULL;
    if (company && company->parked > 0 && company->found_in == intake->closings)
        company->parked += rows;
}

/* ---- what is known ---- */

static void close_company(struct uuid_node *node, void *arg)
{
    struct company *company = CONTAINER_OF(node, struct company, node);
    const struct intake *intake = arg;
    if (intake->closed >> company->partition & 1) {
        company_take_back(company);
        company_crowd(company);
    }
}

void intake_close(struct intake *intake, uint64_t partitions)
{
    intake->closed = partitions;
    intake->open_upto = (struct uuid){{0}};
    intake->closings++;
    uuid_map_each(&intake->companies, close_company, intake);
}

void intake_open(struct intake *intake, const struct uuid *through)
{
    if (through)
        intake->open_upto = *through;
    else
        intake->closed = 0;
    for (struct company *company = intake->crowded; company; company = company->next_crowded)
        company_let_in(company);
}
