#include "workers/engine/records/unpublished.h"

#include "common/base/log.h"

enum { COLUMNS = 2, COLUMN_BYTES_MAX = 4 << 20 };

/* Losing this delete only causes a duplicate publish, so the commit does not wait for the WAL. */
static const struct db_statement commit_without_wait = {
    "unpublished.commit_without_wait",
    "SELECT set_config('synchronous_commit', 'off', true)",
};

static const struct db_statement delete_published = {
    "unpublished.delete",
    "DELETE FROM unpublished AS u"
    " USING unnest($1::uuid[], $2::uuid[]) AS k (company_id, command_id)"
    " WHERE u.company_id = k.company_id AND u.command_id = k.command_id",
};

void unpublished_init(struct unpublished *unpublished, struct db *db)
{
    *unpublished = (struct unpublished){.db = db};
    pg_rows_init(&unpublished->published, COLUMNS, COLUMN_BYTES_MAX);
    pg_rows_begin(&unpublished->published, COLUMNS);
}

void unpublished_done(struct unpublished *unpublished)
{
    pg_rows_done(&unpublished->published);
}

/* A row of `deferred` that was gone belongs to the process that took it. */
static bool has_row(const struct command *command)
{
    return command->row == DEFER_UNPUBLISHED ||
           (command->row != DEFER_NONE && command->outcome != COMMAND_GONE);
}

void unpublished_add(struct unpublished *unpublished, const struct command *command)
{
    if (!has_row(command))
        return;
    struct pg_array *column = pg_rows_add(&unpublished->published);
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_uuid(column++, &command->envelope.id);
}

static void on_deleted(void *arg, struct db_result *result)
{
    struct unpublished *unpublished = arg;
    enum err err = db_result_error(result);
    unpublished->is_deleting = false;
    if (err && err != ERR_SHUTTING_DOWN)
        log_warn("unpublished.not_deleted", LOG_S("error", err_info(err)->name),
                 LOG_S("message", db_result_message(result)));
}

void unpublished_send(struct unpublished *unpublished)
{
    if (unpublished->published.count == 0 || unpublished->is_deleting)
        return;
    unpublished->is_deleting = true;
    db_send(unpublished->db, &commit_without_wait, NULL, 0, NULL, NULL);
    pg_rows_send(&unpublished->published, unpublished->db, &delete_published, NULL, on_deleted, unpublished);
    db_sync(unpublished->db, NULL, NULL);
    pg_rows_begin(&unpublished->published, COLUMNS);
}

bool unpublished_is_idle(const struct unpublished *unpublished)
{
    return unpublished->published.count == 0 && !unpublished->is_deleting;
}
