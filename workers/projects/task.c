/* Tasks: the progress of the project, which follows them. Their rules are in their schema.
 *
 * The progress of a project is the mean of its tasks' progress, weighted by their estimated hours and rounded
 * down, so that 100 means that everything is done. A task without an estimate weighs as much as the mean of
 * those that have one; where none has, or all are estimated at zero, every task weighs the same. Subtasks
 * count like any other task. A project without tasks is at 0.
 */

#include "workers/engine/resource/handlers.h"

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
    .follow = &with_this_one,
};

const struct resource_plan task_update = {
    .verb = RESOURCE_UPDATE,
    .follow = &with_this_one,
};

const struct resource_plan task_delete = {
    .verb = RESOURCE_DELETE,
    .follow = &without_this_one,
};
