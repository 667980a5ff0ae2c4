#include "workers/engine/feed/consumer.h"

#include <stddef.h>
#include <string.h>

/* One for each pool that lives on events; NULL is behind the last. */
static const struct feed_consumer *const consumers[] = {&webhooks_consumer, NULL};

const struct feed_consumer *feed_consumer_of(const char *pool)
{
    for (size_t i = 0; consumers[i]; i++)
        if (strcmp(consumers[i]->pool, pool) == 0)
            return consumers[i];
    return NULL;
}
