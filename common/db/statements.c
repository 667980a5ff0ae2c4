/* A statement is prepared in the transaction that first uses it. That transaction may fail before the PREPARE
 * runs, while later transactions have been sent already. So only an answered PREPARE counts for later
 * transactions; until the answer comes, each of them prepares the statement again, under the name of the next
 * generation, because two statements with one name would be an error. This happens only on a new
 * connection. */

#include "common/db/private.h"

#include "common/base/log.h"

#include <stdio.h>

enum { FIRST_SLOTS = 64 };

static void set_state(struct db_prepared *prepared, enum db_prepared_state state)
{
    static const char *const names[] = {
        [PREPARED_NOT] = "not", [PREPARED_SENT] = "sent", [PREPARED_READY] = "ready"};
    log_debug("db.prepared", LOG_S("statement", prepared->statement->name),
              LOG_S("from", names[prepared->state]), LOG_S("to", names[state]));
    prepared->state = state;
}

static size_t slot_of(const struct db_statement *statement, size_t capacity)
{
    uint64_t hash = (uint64_t)(uintptr_t)statement * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(hash >> 32) & (capacity - 1);
}

static struct db_prepared *find(struct db_prepared *slots, size_t capacity,
                                const struct db_statement *statement)
{
    size_t at = slot_of(statement, capacity);
    while (slots[at].statement && slots[at].statement != statement)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static void grow(struct db_statements *s)
{
    size_t capacity = s->capacity ? 2 * s->capacity : FIRST_SLOTS;
    struct db_prepared *slots = xcalloc(capacity, sizeof(*slots));
    for (size_t i = 0; i < s->capacity; i++)
        if (s->slots[i].statement)
            *find(slots, capacity, s->slots[i].statement) = s->slots[i];
    free(s->slots);
    s->slots = slots;
    s->capacity = capacity;
}

struct db_prepared *db_statements_get(struct db_statements *s, const struct db_statement *statement)
{
    if (2 * (s->count + 1) > s->capacity)
        grow(s);
    struct db_prepared *prepared = find(s->slots, s->capacity, statement);
    if (!prepared->statement) {
        prepared->statement = statement;
        s->count++;
    }
    return prepared;
}

void db_prepared_begin(struct db_prepared *prepared, uint64_t transaction)
{
    set_state(prepared, PREPARED_SENT);
    prepared->transaction = transaction;
    prepared->generation++;
}

void db_prepared_name(const struct db_prepared *prepared, char name[DB_PREPARED_NAME_MAX])
{
    if (prepared->generation == 1)
        snprintf(name, DB_PREPARED_NAME_MAX, "%s", prepared->statement->name);
    else
        snprintf(name, DB_PREPARED_NAME_MAX, "%.80s~%u", prepared->statement->name, prepared->generation);
}

void db_statements_answered(struct db_statements *s, const struct db_entry *entry, bool ok)
{
    struct db_prepared *prepared = db_statements_get(s, entry->statement);
    if (prepared->generation == entry->generation)
        set_state(prepared, ok ? PREPARED_READY : PREPARED_NOT);
}

void db_statements_forget(struct db_statements *s, const struct db_statement *statement)
{
    struct db_prepared *prepared = db_statements_get(s, statement);
    if (prepared->state == PREPARED_READY)
        set_state(prepared, PREPARED_NOT);
}

void db_statements_clear(struct db_statements *s)
{
    if (s->count > 0)
        memset(s->slots, 0, s->capacity * sizeof(*s->slots));
    s->count = 0;
}

void db_statements_done(struct db_statements *s)
{
    free(s->slots);
    *s = (struct db_statements){0};
}
