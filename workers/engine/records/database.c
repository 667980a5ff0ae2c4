#include "workers/engine/records/database.h"

#include <stdio.h>

enum { NAME_SIZE = 160 };

enum err database_connect(struct ev_loop *loop, const struct config *config, const char *pool,
                          const char *part, const struct db_callbacks *callbacks, void *ctx,
                          struct db **ret_db)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s%s%s", pool, part ? ": " : "", part ? part : "");
    const struct db_options options = {
        .url = config->database_url,
        .role = config->database_role,
        .application_name = name,
        .statement_timeout_ms = config->statement_timeout_ms,
    };
    return db_new(loop, &options, callbacks, ctx, ret_db);
}
