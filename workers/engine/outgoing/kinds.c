#include "workers/engine/outgoing/kind.h"

/* One for each pool that does something outside; NULL is behind the last. */
static const struct outgoing_kind *const kinds[] = {&webhooks_outgoing, NULL};

const struct outgoing_kind *outgoing_kind_of(const char *pool)
{
    for (size_t i = 0; kinds[i]; i++)
        if (strcmp(kinds[i]->pool, pool) == 0)
            return kinds[i];
    return NULL;
}
