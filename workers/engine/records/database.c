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

void database_limit_lock_waits(struct db *db, int64_t ms)
{
    static const struct db_statement set = {
        "database.lock_timeout",
        "SELECT set_config('lock_timeout', $1, false)",
    };
    char text[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(ms, text)};
    db_send(db, &set, params, ARRAY_LEN(params), NULL, NULL);
    db_sync(db, NULL, NULL);
}
