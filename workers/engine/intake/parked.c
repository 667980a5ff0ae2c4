#include "workers/engine/intake/private.h"

/* The next rows are requested before those that are here are used up. */
static bool wants_rows(const struct intake *intake, const struct company *company)
{
    return company->parked > 0 && !company->is_loading && company->ready.count < INTAKE_ROWS / 2 &&
           partition_is_mine(intake->partitions, company->partition);
}

size_t intake_wants(struct intake *intake, struct intake_want *wants, size_t max)
{
    size_t count = 0;
    for (struct company *company = intake->crowded; company && count < max; company = company->next_crowded)
        if (wants_rows(intake, company)) {
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
        company_take_back(company);
    }
    company_let_in(company);
    company_release(company);
}

void intake_each_with_rows(const struct intake *intake, void (*each)(void *arg, const struct uuid *company),
                           void *arg)
{
    for (const struct company *company = intake->crowded; company; company = company->next_crowded)
        if (company->parked > 0)
            each(arg, &company->node.key);
}
