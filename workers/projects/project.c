/* Projects: SQL and rules. x-transitions of the schema says what a status may become:
 *
 *   planning ⇄ active ⇄ on-hold       (on-hold ⇄ planning too; each of the three may be cancelled)
 *      ⇅          ⇅
 *  cancelled   completed              take no new work until they are opened again: cancelled → planning,
 *                                     completed → active
 */

#include "workers/engine/resource/handlers.h"

#define NOT_A_USER \
    "NOT EXISTS (SELECT FROM app_user AS u WHERE u.company_id = :company AND u.id = new.manager_id)"

static const struct resource_rule create_rules[] = {
    {ERR_VALIDATION, "/end_date", "must not be before start_date", "new.end_date < new.start_date"},
    {ERR_VALIDATION, "/manager_id", "must be a user of the company",
     "new.manager_id IS NOT NULL AND " NOT_A_USER},
    {0},
};

/* The manager is checked only when the project gets another one, so one who has left since does not bar an
 * update. */
static const struct resource_rule update_rules[] = {
    {ERR_VALIDATION, "/end_date", "must not be before start_date", "new.end_date < new.start_date"},
    {ERR_VALIDATION, "/manager_id", "must be a user of the company",
     "new.manager_id IS DISTINCT FROM old.manager_id AND new.manager_id IS NOT NULL AND " NOT_A_USER},
    {0},
};

static const struct resource_number number = {
    .column = "number",
    .scope = "'project/' || :year",
    .prefix = "'PRJ-' || :year || '-'",
};

const struct resource_plan project_create = {
    .verb = RESOURCE_CREATE,
    .rules = create_rules,
    .number = &number,
    .many = true,
};

const struct resource_plan project_update = {
    .verb = RESOURCE_UPDATE,
    .rules = update_rules,
};
