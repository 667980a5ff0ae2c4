/* Revocations of tokens. A gateway hears of each by the event that follows, and reads them all when it
 * starts. */

#include "workers/engine/resource/handlers.h"

static const struct resource_column computed[] = {
    {"before", "coalesce(new.before, :at)"},
    {"expires_at", "coalesce(new.expires_at, :at + interval '30 days')"},
    {"revoked_by", ":actor"},
    {0},
};

static const struct resource_rule rules[] = {
    {ERR_VALIDATION, "/before", "must not be in the future", "new.before > :at + interval '1 minute'"},
    {ERR_VALIDATION, "/expires_at", "must be in the future", "new.expires_at <= :at"},
    {0},
};

const struct resource_plan revocation_create = {
    .verb = RESOURCE_CREATE,
    .rules = rules,
    .computed = computed,
};
