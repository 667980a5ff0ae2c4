#include "workers/engine/records/command_row.h"

#include "common/base/hex.h"
#include "common/broker/topology.h"

/* ---- writing ---- */

static void add_uuid_if(struct pg_array *column, bool is_there, const struct uuid *uuid)
{
    if (is_there)
        pg_array_add_uuid(column, uuid);
    else
        pg_array_add_null(column);
}

/* A text that could not be read is NULL, so that nobody takes an empty text for a value. */
static void add_text_if(struct pg_array *column, struct slice text)
{
    pg_array_add_text(column, text.len > 0 ? text : SLICE_NONE);
}

static struct pg_array *add_acted(struct pg_array *column, const struct acted *acted)
{
    add_uuid_if(column++, acted->is_known, &acted->by);
    add_uuid_if(column++, acted->is_known, &acted->company);
    if (acted->is_known)
        pg_array_add_i64(column++, acted->at);
    else
        pg_array_add_null(column++);
    return column;
}

struct pg_array *command_row_add(struct pg_array *column, const struct command *command)
{
    const struct envelope *envelope = &command->envelope;
    pg_array_add_uuid(column++, &envelope->company);
    pg_array_add_uuid(column++, &envelope->id);
    pg_array_add_i64(column++, topology_slot(&envelope->company));
    pg_array_add_text(column++, envelope->type);
    add_uuid_if(column++, command->reading == READING_ALL, &envelope->actor);
    add_text_if(column++, envelope->role);
    add_uuid_if(column++, envelope->has_subject, &envelope->subject);
    add_uuid_if(column++, envelope->has_parent, &envelope->parent);
    pg_array_add_i64(column++, envelope->if_match);
    if (command->reading == READING_ALL)
        pg_array_add_i64(column++, (int64_t)envelope->fingerprint);
    else
        pg_array_add_null(column++);
    pg_array_add_i64(column++, envelope->timestamp);
    add_text_if(column++, envelope->correlation_id);
    add_text_if(column++, envelope->reply_to);
    add_text_if(column++, envelope->traceparent);
    pg_array_add_bytes(column++, envelope->body);
    return add_acted(add_acted(column, &command->acted), &command->scheduled);
}

/* ---- reading ---- */

enum {
    COMPANY,
    COMMAND,
    SLOT,
    TYPE,
    ACTOR,
    ROLE,
    SUBJECT,
    PARENT,
    IF_MATCH,
    FINGERPRINT,
    SENT,
    CORRELATION_ID,
    REPLY_TO,
    TRACEPARENT,
    BODY,
    ACTED,                /* three columns: by, company, at */
    SCHEDULED = ACTED + 3 /* likewise */
};

static bool read_uuid(struct slice text, struct uuid *ret_uuid)
{
    return text.data && uuid_parse(text, ret_uuid);
}

/* Reads a bytea in its hex format: \x00ff. */
static bool read_bytes(struct arena *arena, struct slice hex, struct slice *ret_bytes)
{
    if (hex.len < 2 || memcmp(hex.data, "\\x", 2) != 0)
        return false;
    size_t len = hex.len / 2 - 1;
    char *bytes = arena_alloc(arena, len + 1);
    if (!hex_decode((struct slice){hex.data + 2, hex.len - 2}, bytes))
        return false;
    *ret_bytes = (struct slice){bytes, len};
    return true;
}

static void read_acted(const struct db_result *result, int row, int column, struct acted *ret_acted)
{
    ret_acted->is_known = read_uuid(db_text(result, row, column), &ret_acted->by) &&
                          read_uuid(db_text(result, row, column + 1), &ret_acted->company);
    ret_acted->at = db_int(result, row, column + 2);
}

struct command *command_row_read(struct db_result *result, int row, int column, enum deferral reason)
{
    struct envelope envelope = {
        .type = db_text(result, row, column + TYPE),
        .role = db_text(result, row, column + ROLE),
        .if_match = db_int(result, row, column + IF_MATCH),
        .fingerprint = (uint64_t)db_int(result, row, column + FINGERPRINT),
        .timestamp = db_int(result, row, column + SENT),
        .correlation_id = db_text(result, row, column + CORRELATION_ID),
        .reply_to = topology_reply_key(db_text(result, row, column + REPLY_TO)),
        .traceparent = db_text(result, row, column + TRACEPARENT),
    };
    bool is_good = read_uuid(db_text(result, row, column + COMPANY), &envelope.company) &&
                   read_uuid(db_text(result, row, column + COMMAND), &envelope.id) &&
                   read_uuid(db_text(result, row, column + ACTOR), &envelope.actor);
    envelope.has_subject = read_uuid(db_text(result, row, column + SUBJECT), &envelope.subject);
    envelope.has_parent = read_uuid(db_text(result, row, column + PARENT), &envelope.parent);
    if (!is_good)
        return NULL;
    struct command *command = command_new_of_row(&envelope, reason);
    read_acted(result, row, column + ACTED, &command->acted);
    read_acted(result, row, column + SCHEDULED, &command->scheduled);
    if (read_bytes(&command->arena, db_text(result, row, column + BODY), &command->envelope.body))
        return command;
    command_free(command);
    return NULL;
}
