#pragma once
/* A command as columns of a table: what `deferred` and `dead_letter` have in common. */

#include "common/db/db.h"
#include "common/db/pg_array.h"
#include "workers/engine/command/command.h"

/* The columns, in the order of the arrays. HEAD: all but the body and who acted or put the schedule. */
#define COMMAND_HEAD_COLUMNS                                                                          \
    "company_id, command_id, slot, type, actor, role, subject, parent, if_match, fingerprint, sent, " \
    "correlation_id, reply_to, traceparent"
#define COMMAND_COLUMNS                                                \
    COMMAND_HEAD_COLUMNS ", body, acted_by, acted_company, acted_at, " \
                         "scheduled_by, scheduled_company, scheduled_at"
/* The same as arrays, which are the parameters $2 to $22 of a statement; further arrays come after them. */
#define COMMAND_ARRAYS                                                                                    \
    "$2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::uuid[], $7::text[], $8::uuid[], $9::uuid[], " \
    "$10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[], $15::text[], $16::bytea[], "  \
    "$17::uuid[], $18::uuid[], $19::bigint[], $20::uuid[], $21::uuid[], $22::bigint[]"
/* Their types, for pg_rows_begin_binary. */
#define COMMAND_ELEMENTS                                                                               \
    PG_UUID, PG_UUID, PG_INTEGER, PG_TEXT, PG_UUID, PG_TEXT, PG_UUID, PG_UUID, PG_BIGINT, PG_BIGINT,   \
        PG_BIGINT, PG_TEXT, PG_TEXT, PG_TEXT, PG_BYTEA, PG_UUID, PG_UUID, PG_BIGINT, PG_UUID, PG_UUID, \
        PG_BIGINT
/* The same as columns of n, which is the name that the statement gives to the unnested arrays. */
#define COMMAND_NAMES                                                                                \
    "n.company_id, n.command_id, n.slot, n.type, n.actor, n.role, n.subject, n.parent, n.if_match, " \
    "n.fingerprint, n.sent, n.correlation_id, n.reply_to, n.traceparent, n.body, n.acted_by, "       \
    "n.acted_company, n.acted_at, n.scheduled_by, n.scheduled_company, n.scheduled_at"

/* Appends one element to each of the arrays of COMMAND_ELEMENTS, and returns the array after them. */
struct pg_array *command_row_add(struct pg_array *columns, const struct command *command);

/* Makes a command of a row whose columns from `column` on are COMMAND_COLUMNS. Returns NULL when the row is
 * not one that we write. */
struct command *command_row_read(struct db_result *result, int row, int column, enum deferral reason);
