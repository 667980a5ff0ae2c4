/* DELETE /v1/operations/{id}: a command that waits for its time never runs (schemas/sql/0010_operation.sql).
 * The process that holds a long job sees at its next step that the job is to end; a job that backs off after
 * a failure is due at once. */

#include "workers/engine/resource/handlers.h"

static const struct resource_rule rules[] = {
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
