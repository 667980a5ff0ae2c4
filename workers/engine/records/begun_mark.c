#include "workers/engine/records/begun_mark.h"

enum { ARRAY_MAX = 1 << 20 };

static const struct db_statement add = {
    "mark.alone",
    "INSERT INTO begun_mark AS m (company_id, command_id, alone) VALUES ($1, $2, 1)"
    " ON CONFLICT (company_id, command_id) DO UPDATE SET alone = m.alone + 1, at = now() RETURNING m.alone",
};

static const struct db_statement keep = {
    "mark.keep",
    "INSERT INTO begun_mark (company_id, command_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])"
    " ON CONFLICT DO NOTHING",
};

static const struct db_statement clear = {
    "mark.clear",
    "DELETE FROM begun_mark AS m USING unnest($1::uuid[], $2::uuid[]) AS k (company_id, command_id)"
    " WHERE m.company_id = k.company_id AND m.command_id = k.command_id",
};

void marks_init(struct marks *marks)
{
    pg_array_init(&marks->companies, ARRAY_MAX);
    pg_array_init(&marks->commands, ARRAY_MAX);
}

void marks_done(struct marks *marks)
{
    pg_array_done(&marks->companies);
    pg_array_done(&marks->commands);
}

void mark_alone(struct db *db, const struct command *command, db_on_result *on_marked, void *arg)
{
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.company, company);
    uuid_format(&command->envelope.id, id);
    const struct slice key[] = {{company, UUID_TEXT_LEN}, {id, UUID_TEXT_LEN}};
    db_send(db, &add, key, ARRAY_LEN(key), on_marked, arg);
}

static void send(struct marks *marks, struct db *db, const struct db_statement *statement,
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

static bool is_parked_suspect(const struct command *command)
{
    return command->is_suspect && command->deferral == DEFER_TURN;
}

void marks_keep(struct marks *marks, struct db *db, struct command *const *commands, size_t count,
                db_on_result *on_done, void *arg)
{
    send(marks, db, &keep, commands, count, is_parked_suspect, on_done, arg);
}

static bool is_marked(const struct command *command)
{
    return command->is_marked;
}

void marks_clear(struct marks *marks, struct db *db, struct command *const *commands, size_t count,
                 db_on_result *on_done, void *arg)
{
    send(marks, db, &clear, commands, count, is_marked, on_done, arg);
}
