#include "workers/engine/records/revoked.h"

enum { FRESH_S = 5 }; /* a delivery that was sent no longer ago was let in by a gateway that had just asked */

/* `before` is compared with the time at which the command was sent, or at which somebody acted, in whole seconds:
 * the token that did it was made no later. */
static const struct db_statement find_revoked = {
    "revoked.find",
    "SELECT DISTINCT k.i FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[])"
    " AS k (i, company_id, actor, sent)"
    " WHERE EXISTS (SELECT FROM revocation AS r"
    " WHERE r.company_id = k.company_id AND r.user_id = k.actor AND r.before >= to_timestamp(k.sent))",
};

bool revoked_concerns(const struct command *command, int64_t now_s)
{
    bool is_row = command->row != DEFER_NONE && command->row != DEFER_UNPUBLISHED;
    return command->reading == READING_ALL &&
           (is_row || command->backoffs > 0 || command->envelope.timestamp < now_s - FRESH_S);
}

static void add_person(struct records *records, size_t i, const struct uuid *company, const struct uuid *user,
                       int64_t at)
{
    struct pg_array *column = pg_rows_add(&records->rows);
    pg_array_add_i64(column++, (int64_t)i);
    pg_array_add_uuid(column++, company);
    pg_array_add_uuid(column++, user);
    pg_array_add_i64(column++, at);
}

void revoked_ask(struct records *records, struct command *const *commands, size_t count, int64_t now_s,
                 db_on_result *on_asked, void *arg)
{
    static const enum pg_element columns[] = {PG_BIGINT, PG_UUID, PG_UUID, PG_BIGINT};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        if (!revoked_concerns(commands[i], now_s))
            continue;
        const struct acted *operators[] = {&commands[i]->acted, &commands[i]->scheduled};
        add_person(records, i, &commands[i]->envelope.company, &commands[i]->envelope.actor,
                   commands[i]->envelope.timestamp);
        for (size_t j = 0; j < ARRAY_LEN(operators); j++)
            if (operators[j]->is_known)
                add_person(records, i, &operators[j]->company, &operators[j]->by, operators[j]->at);
    }
    pg_rows_send(&records->rows, records->db, &find_revoked, NULL, on_asked, arg);
}

void revoked_read(struct command *const *commands, size_t count, const struct db_result *result)
{
    for (int row = 0; row < db_rows(result); row++) {
        int64_t i = db_int(result, row, 0);
        if (i >= 0 && (size_t)i < count)
            commands[i]->is_revoked = true;
    }
}
