/* Tasks: SQL and rules, and the progress of the project, which follows them.
 *
 * The progress of a project is the mean of its tasks' progress, weighted by their estimated hours and rounded
 * down, so that 100 means that everything is done. A task without an estimate weighs as much as the mean of
 * those that have one; where none has, or all are estimated at zero, every task weighs the same. Subtasks
 * count like any other task. A project without tasks is at 0.
 */

#include "workers/engine/resource/handlers.h"

#define NOT_A_USER \
    "NOT EXISTS (SELECT FROM app_user AS u WHERE u.company_id = :company AND u.id = new.assignee_id)"
#define NOT_IN_THE_PROJECT                                                                          \
    "NOT EXISTS (SELECT FROM task AS p WHERE p.company_id = :company AND p.id = new.parent_task_id" \
    " AND p.project_id = :parent)"

static const struct resource_rule create_rules[] = {
    {ERR_CONFLICT, NULL, "The project is completed or cancelled and takes no new work.",
     "parent.status IN ('completed', 'cancelled')"},
    {ERR_VALIDATION, "/assignee_id", "must be a user of the company",
     "new.assignee_id IS NOT NULL AND " NOT_A_USER},
    {ERR_VALIDATION, "/parent_task_id", "must be a task of the same project",
     "new.parent_task_id IS NOT NULL AND " NOT_IN_THE_PROJECT},
    {0},
};

/* The walk goes up from the new parent. UNION drops what it has met before, so it ends even in a circle. */
static const struct resource_rule update_rules[] = {
    {ERR_CONFLICT, "/status", "The project is completed or cancelled and takes no new work.",
     "old.status = 'completed' AND new.status <> 'completed'"
     " AND EXISTS (SELECT FROM project AS p"
     " WHERE p.company_id = :company AND p.id = :parent AND p.status IN ('completed', 'cancelled'))"},
    {ERR_VALIDATION, "/assignee_id", "must be a user of the company",
     "new.assignee_id IS DISTINCT FROM old.assignee_id AND new.assignee_id IS NOT NULL AND " NOT_A_USER},
    {ERR_VALIDATION, "/parent_task_id", "must be a task of the same project",
     "new.parent_task_id IS NOT NULL AND " NOT_IN_THE_PROJECT},
    {ERR_VALIDATION, "/parent_task_id", "must not be the task itself or one below it",
     "new.parent_task_id IS DISTINCT FROM old.parent_task_id"
     " AND EXISTS (WITH RECURSIVE above AS (SELECT new.parent_task_id AS id"
     " UNION SELECT p.parent_task_id FROM above"
     " JOIN task AS p ON p.company_id = :company AND p.id = above.id)"
     " SELECT FROM above WHERE above.id = :id)"},
    {0},
};

static const struct resource_rule delete_rules[] = {
    {ERR_CONFLICT, NULL, "The task has subtasks. Delete or move them first.",
     "EXISTS (SELECT FROM task AS s WHERE s.company_id = :company AND s.parent_task_id = :id)"},
    {0},
};

static const struct resource_column create_computed[] = {
    {"creator_id", ":actor"},
    {"completed_at", "CASE WHEN new.status = 'completed' THEN :at END"},
    {"progress", "CASE WHEN new.status = 'completed' THEN 100 ELSE new.progress END"},
    {0},
};

/* A completed task is at 100; one that is opened again begins at 0 unless the client says where it stands. */
static const struct resource_column update_computed[] = {
    {"completed_at", "CASE WHEN new.status = 'completed' THEN coalesce(t.completed_at, :at) END"},
    {"progress", "CASE WHEN new.status = 'completed' THEN 100"
                 " WHEN t.status = 'completed' AND new.progress = t.progress THEN 0 ELSE new.progress END"},
    {0},
};

/* ---- the project's progress ---- */

#define OTHER_TASKS                              \
    "SELECT estimated_hours, progress FROM task" \
    " WHERE company_id = :company AND project_id = :parent AND id <> :id"

/* Numerator and denominator are multiplied by the number of estimates, so that the mean of the estimates is
 * not rounded on the way. sum() and count() leave the NULLs out. */
#define PROGRESS_OF(tasks)                                                                               \
    "(SELECT coalesce(floor(coalesce("                                                                   \
    "(count(w.estimated_hours) * sum(w.estimated_hours * w.progress)"                                    \
    " + sum(w.estimated_hours) * coalesce(sum(w.progress) FILTER (WHERE w.estimated_hours IS NULL), 0))" \
    " / nullif(sum(w.estimated_hours) * count(*), 0),"                                                   \
    " avg(w.progress))), 0)::integer AS progress FROM (" tasks ") AS w) AS f"

static const struct resource_follow with_this_one = {
    .event = "project.updated",
    .resource = "project",
    .set = "progress = f.progress",
    .from = PROGRESS_OF(OTHER_TASKS " UNION ALL SELECT estimated_hours, progress FROM made"),
    .where = "t.id = :parent AND t.progress <> f.progress",
};

static const struct resource_follow without_this_one = {
    .event = "project.updated",
    .resource = "project",
    .set = "progress = f.progress",
    .from = PROGRESS_OF(OTHER_TASKS),
    .where = "t.id = :parent AND t.progress <> f.progress",
};

const struct resource_plan task_create = {
    .verb = RESOURCE_CREATE,
    .rules = create_rules,
    .computed = create_computed,
    .follow = &with_this_one,
};

const struct resource_plan task_update = {
    .verb = RESOURCE_UPDATE,
    .rules = update_rules,
    .computed = update_computed,
    .follow = &with_this_one,
};

const struct resource_plan task_delete = {
    .verb = RESOURCE_DELETE,
    .rules = delete_rules,
    .follow = &without_this_one,
};
