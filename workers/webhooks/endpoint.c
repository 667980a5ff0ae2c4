/* Commands of webhooks beside the verbs of their resources. What the sender has found out of an endpoint is in its health,
 * and becomes its state by a command of the system (sql.c), which causes an event. */

#include "workers/engine/resource/handlers.h"

#define HEALTH(column) \
    "(SELECT h." column " FROM webhook_health AS h WHERE h.company_id = :company AND h.id = :id)"

static const struct resource_rule disable_rules[] = {
    {ERR_CONFLICT, NULL, "The endpoint is disabled already.", "old.status = 'disabled'"},
    {0},
};

static const struct resource_column disabled[] = {
    {"status", "'disabled'"},
    {"disabled_at", ":at"},
    {"disabled_reason", HEALTH("reason")},
    {"failing", HEALTH("told")},
    {0},
};

const struct resource_plan webhook_endpoint_disable = {
    .verb = RESOURCE_UPDATE, .rules = disable_rules, .computed = disabled};

/* Of one that has only failed for some time, and of one that has succeeded again. */
static const struct resource_column told[] = {{"failing", HEALTH("told")}, {0}};

const struct resource_plan webhook_endpoint_fail = {.verb = RESOURCE_UPDATE, .computed = told};
const struct resource_plan webhook_endpoint_heal = {.verb = RESOURCE_UPDATE, .computed = told};

/* Its event is what is sent (consumer.c). */
const struct resource_plan webhook_endpoint_test = {.verb = RESOURCE_UPDATE};

static const struct resource_rule resend_rules[] = {
    {ERR_CONFLICT, NULL, "The endpoint of the delivery was deleted.",
     "NOT EXISTS (SELECT FROM webhook_endpoint AS w WHERE w.company_id = :company AND w.id = "
     "old.endpoint_id)"},
    {0},
};

/* When the attempt fails, the delivery is again what it was. */
static const struct resource_column resent[] = {
    {"resume_as", "CASE WHEN t.is_asked THEN t.resume_as ELSE t.status END"},
    {"resume_at", "CASE WHEN t.is_asked THEN t.resume_at ELSE t.next_at END"},
    {"is_asked", "true"},
    {"is_behind", "false"},
    {"status", "'waiting'"},
    {"next_at", ":at"},
    {0},
};

const struct resource_plan webhook_delivery_resend = {
    .verb = RESOURCE_UPDATE, .rules = resend_rules, .computed = resent};
