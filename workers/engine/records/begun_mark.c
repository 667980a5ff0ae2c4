#include "workers/engine/records/begun_mark.h"

/* Nothing is written while another transaction holds the sequence of the company, because then the command
 * would not run. The commands of a company that does not exist are refused, and need no sequence. */
static const struct db_statement write_mark = {
    "begun_mark.write",
    "WITH free AS MATERIALIZED ("
    "SELECT FROM company_sequence WHERE company_id = $1::uuid FOR UPDATE SKIP LOCKED)"
    " INSERT INTO begun_mark AS m (company_id, command_id, alone)"
    " SELECT $1::uuid, $2::uuid, 1"
    " WHERE EXISTS (SELECT FROM free)"
    " OR NOT EXISTS (SELECT FROM company_sequence WHERE company_id = $1::uuid)"
    " ON CONFLICT (company_id, command_id) DO UPDATE SET alone = m.alone + 1, at = now()"
    " RETURNING m.alone",
};

static const struct db_statement write_together = {
    "begun_mark.write_together",
    "INSERT INTO begun_mark (company_id, command_id)"
    " SELECT * FROM unnest($1::uuid[], $2::uuid[])"
    " ON CONFLICT DO NOTHING RETURNING true",
};

static const struct db_statement take_back_mark = {
    "begun_mark.take_back",
    "UPDATE begun_mark SET alone = alone - 1 WHERE company_id = $1 AND command_id = $2 AND alone > 0",
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

static void send_for_one(struct records *records, const struct db_statement *statement,
                         const struct command *command, db_on_result *on_result, void *arg)
{
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.company, company);
    uuid_format(&command->envelope.id, id);
    const struct slice key[] = {{company, UUID_TEXT_LEN}, {id, UUID_TEXT_LEN}};
    db_send(records->db, statement, key, ARRAY_LEN(key), on_result, arg);
}

void begun_mark_write(struct records *records, const struct command *command, db_on_result *on_written,
                      void *arg)
{
    send_for_one(records, &write_mark, command, on_written, arg);
}

void begun_mark_take_back(struct records *records, const struct command *command)
{
    send_for_one(records, &take_back_mark, command, NULL, NULL);
}

static void add_key(struct records *records, const struct command *command)
{
    struct pg_array *column = pg_rows_add(&records->rows);
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_uuid(column++, &command->envelope.id);
}

void begun_mark_write_together(struct records *records, struct command *const *commands, size_t count,
                               db_on_result *on_written, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_UUID};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++)
        add_key(records, commands[i]);
    pg_rows_send(&records->rows, records->db, &write_together, NULL, on_written, arg);
}

void begun_mark_keep(struct records *records, struct command *const *commands, size_t count,
                     db_on_result *on_done, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_UUID};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++)
        if (commands[i]->was_begun && commands[i]->deferral == DEFER_TURN)
            add_key(records, commands[i]);
    pg_rows_send(&records->rows, records->db, &keep_marks, NULL, on_done, arg);
}

void begun_mark_delete(struct records *records, struct command *const *commands, size_t count,
                       db_on_result *on_done, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_UUID};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++)
        if (commands[i]->has_begun_mark && !(commands[i]->was_begun && commands[i]->deferral == DEFER_TURN))
            add_key(records, commands[i]);
    pg_rows_send(&records->rows, records->db, &delete_marks, NULL, on_done, arg);
}
