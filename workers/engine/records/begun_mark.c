#include "workers/engine/records/begun_mark.h"

enum { ARRAY_MAX = 1 << 20 };

static const struct db_statement add = {
    "begun_mark.write",
    "INSERT INTO begun_mark AS m (company_id, command_id, alone) VALUES ($1, $2, 1)"
    " ON CONFLICT (company_id, command_id) DO UPDATE SET alone = m.alone + 1, at = now() RETURNING m.alone",
};

static const struct db_statement keep = {
    "begun_mark.keep",
    "INSERT INTO begun_mark (company_id, command_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])"
    " ON CONFLICT DO NOTHING",
};

static const struct db_statement clear = {
    "begun_mark.clear",
    "DELETE FROM begun_mark AS m USING unnest($1::uuid[], $2::uuid[]) AS k (company_id, command_id)"
    " WHERE m.company_id = k.company_id AND m.command_id = k.command_id",
};

void begun_marks_init(struct begun_marks *marks)
{
    pg_array_init(&marks->companies, ARRAY_MAX);
    pg_array_init(&marks->commands, ARRAY_MAX);
}

void begun_marks_done(struct begun_marks *marks)
{
    pg_array_done(&marks->companies);
    pg_array_done(&marks->commands);
}

void begun_mark_write(struct db *db, const struct command *command, db_on_result *on_marked, void *arg)
{
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.company, company);
    uuid_format(&command->envelope.id, id);
    const struct slice key[] = {{company, UUID_TEXT_LEN}, {id, UUID_TEXT_LEN}};
    db_send(db, &add, key, ARRAY_LEN(key), on_marked, arg);
}

static void send(struct begun_marks *marks, struct db *db, const struct db_statement *statement,
                 struct command *const *commands, size_t count,
                 bool (*is_meant)(const struct command *command), db_on_result *on_done, void *arg)
{
    size_t rows = 0;
    pg_array_clear(&marks->companies);
    pg_array_clear(&marks->commands);
    for (size_t i = 0; i < count; i++) {
        if (!is_meant(commands[i]))
            continue;
        pg_array_add_uuid(&marks->companies, &commands[i]->envelope.company);
        pg_array_add_uuid(&marks->commands, &commands[i]->envelope.id);
        rows++;
    }
    const struct slice keys[] = {pg_array_end(&marks->companies), pg_array_end(&marks->commands)};
    if (rows > 0)
        db_send(db, statement, keys, ARRAY_LEN(keys), on_done, arg);
}

static bool is_parked_and_was_begun(const struct command *command)
{
    return command->was_begun && command->deferral == DEFER_TURN;
}

void begun_marks_keep(struct begun_marks *marks, struct db *db, struct command *const *commands, size_t count,
                      db_on_result *on_done, void *arg)
{
    send(marks, db, &keep, commands, count, is_parked_and_was_begun, on_done, arg);
}

static bool has_begun_mark(const struct command *command)
{
    return command->has_begun_mark;
}

void begun_marks_clear(struct begun_marks *marks, struct db *db, struct command *const *commands,
                       size_t count, db_on_result *on_done, void *arg)
{
    send(marks, db, &clear, commands, count, has_begun_mark, on_done, arg);
}
