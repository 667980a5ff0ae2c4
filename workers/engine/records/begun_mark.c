#include "workers/engine/records/begun_mark.h"

static const struct db_statement write_mark = {
    "begun_mark.write",
    "INSERT INTO begun_mark AS m (company_id, command_id, alone)"
    " VALUES ($1, $2, 1)"
    " ON CONFLICT (company_id, command_id) DO UPDATE SET alone = m.alone + 1, at = now()"
    " RETURNING m.alone",
};

static const struct db_statement keep_marks = {
    "begun_mark.keep",
    "INSERT INTO begun_mark (company_id, command_id)"
    " SELECT * FROM unnest($1::uuid[], $2::uuid[])"
    " ON CONFLICT DO NOTHING",
};

static const struct db_statement delete_marks = {
    "begun_mark.delete",
    "DELETE FROM begun_mark AS m"
    " USING unnest($1::uuid[], $2::uuid[]) AS k (company_id, command_id)"
    " WHERE m.company_id = k.company_id AND m.command_id = k.command_id",
};

void begun_mark_write(struct records *records, const struct command *command, db_on_result *on_written,
                      void *arg)
{
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.company, company);
    uuid_format(&command->envelope.id, id);
    const struct slice key[] = {{company, UUID_TEXT_LEN}, {id, UUID_TEXT_LEN}};
    db_send(records->db, &write_mark, key, ARRAY_LEN(key), on_written, arg);
}

static void add_key(struct records *records, const struct command *command)
{
    struct pg_array *column = pg_rows_add(&records->rows);
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_uuid(column++, &command->envelope.id);
}

void begun_mark_keep(struct records *records, struct command *const *commands, size_t count,
                     db_on_result *on_done, void *arg)
{
    pg_rows_begin(&records->rows, 2);
    for (size_t i = 0; i < count; i++)
        if (commands[i]->was_begun && commands[i]->deferral == DEFER_TURN)
            add_key(records, commands[i]);
    pg_rows_send(&records->rows, records->db, &keep_marks, NULL, on_done, arg);
}

void begun_mark_delete(struct records *records, struct command *const *commands, size_t count,
                       db_on_result *on_done, void *arg)
{
    pg_rows_begin(&records->rows, 2);
    for (size_t i = 0; i < count; i++)
        if (commands[i]->has_begun_mark)
            add_key(records, commands[i]);
    pg_rows_send(&records->rows, records->db, &delete_marks, NULL, on_done, arg);
}
