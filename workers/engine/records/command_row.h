#pragma once
/* A command as columns of a table: what `deferred` and `dead_letter` have in common. */

#include "common/db/db.h"
#include "common/db/pg_array.h"
#include "workers/engine/command/command.h"

enum { COMMAND_ARRAY_MAX = 64 << 20 }; /* bytes of one column of a statement */

/* In this order, in the SQL as in the arrays. HEAD: all but the body. */
#define COMMAND_HEAD_COLUMNS                                                                          \
    "company_id, command_id, slot, type, actor, role, subject, parent, if_match, fingerprint, sent, " \
    "correlation_id, reply_to, traceparent"
#define COMMAND_COLUMNS COMMAND_HEAD_COLUMNS ", body"
enum { COMMAND_COLUMN_COUNT = 15 };
/* The arrays as parameters $2 to $16, to be unnested as n (i and what more there is come after them). */
#define COMMAND_ARRAYS                                                                                    \
    "$2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::uuid[], $7::text[], $8::uuid[], $9::uuid[], " \
    "$10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[], $15::text[], $16::bytea[]"
#define COMMAND_NAMES                                                                                \
    "n.company_id, n.command_id, n.slot, n.type, n.actor, n.role, n.subject, n.parent, n.if_match, " \
    "n.fingerprint, n.sent, n.correlation_id, n.reply_to, n.traceparent, n.body"

/* Appends one element to each of the COMMAND_COLUMN_COUNT arrays. */
void command_row_add(struct pg_array *columns, const struct command *command);

/* A command from a row whose columns from `column` on are COMMAND_COLUMNS. NULL when it is not what we write. */
struct command *command_row_read(struct db_result *result, int row, int column, enum deferral reason);
