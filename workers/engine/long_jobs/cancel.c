/* DELETE /v1/operations/{id}: a command that waits for its time never runs (schemas/sql/0010_operation.sql).
 * The process that holds a long job sees at its next step that the job is to end; a job that backs off after
 * a failure is due at once. */

#include "workers/engine/resource/handlers.h"

/* What is cancelled: a command that waits, or the long job of a command that has run ("export.csv" is that of
 * an export.create). */
#define CANCELLED                                                                                            \
    "CASE WHEN EXISTS (SELECT FROM deferred_head AS d WHERE d.company_id = :company AND d.command_id = :id)" \
    " THEN old.kind ELSE split_part(old.kind, '.', 1) || '.create' END"

#define IS_OWN                                                                          \
    "(deferred_is_of(:company, :id, :actor) OR EXISTS (SELECT FROM long_job AS j WHERE" \
    " j.company_id = :company AND j.id = :id AND j.actor = :actor))"

/* Whoever may send a command without a condition may cancel that of another, and everybody their own. */
static const struct resource_rule rules[] = {
    {ERR_FORBIDDEN, NULL, "Your role is not allowed to do what this operation does.",
     "old.ended_at IS NULL AND " CANCELLED " <> ALL (:may) AND NOT " IS_OWN},
    {ERR_CONFLICT, NULL, "The operation has ended.", "old.ended_at IS NOT NULL"},
    {ERR_CONFLICT, NULL, "The command has begun.", "old.ended_at IS NULL AND old.has_begun"},
    {0},
};

static const struct resource_column computed[] = {
    {"cancel_asked", "true"},
    {"due_at", "CASE WHEN t.error IS NULL THEN t.due_at ELSE :at END"},
    {0},
};

const struct resource_plan job_cancel = {
    .verb = RESOURCE_UPDATE,
    .rules = rules,
    .computed = computed,
    .http_status = 202,
    .begins_long_job = true,
};
