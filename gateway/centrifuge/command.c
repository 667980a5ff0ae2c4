#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/json_scan.h"
#include "gateway/centrifuge/private.h"
#include "gateway/centrifuge/protobuf.h"
#include "gateway/limit/rate.h"

/* Clients of this protocol version ping with `{}`, so the command `ping` is not offered. */
static void not_available(struct session *session, uint32_t id, const json_t *params)
{
    (void)params;
    reply_error(session, id, CENTRIFUGE_ERROR_NOT_AVAILABLE);
}

/* In the order in which the protocol looks for them: the first member that a message has names its
 * command. */
static const struct command_row {
    const char *name;
    void (*handle)(struct session *session, uint32_t id, const json_t *params);
} rows[] = {
    {"connect", session_connect},
    {"subscribe", session_subscribe},
    {"unsubscribe", session_unsubscribe},
    {"publish", session_publish},
    {"presence", session_presence},
    {"presence_stats", session_presence_stats},
    {"history", session_history},
    {"ping", not_available},
    {"rpc", session_rpc},
    {"refresh", session_refresh},
    {"sub_refresh", session_sub_refresh},
};

struct slice json_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return SLICE_NONE;
    return (struct slice){json_string_value(value), json_string_length(value)};
}

bool json_read_integer(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *ret_value)
{
    const json_t *value = json_object_get(object, name);
    json_int_t integer = json_integer_value(value);
    if (value && !json_is_null(value) && (!json_is_integer(value) || integer < min || integer > max))
        return false;
    *ret_value = integer;
    return true;
}

bool json_read_flag(const json_t *object, const char *name, bool *ret_value)
{
    const json_t *value = json_object_get(object, name);
    if (value && !json_is_null(value) && !json_is_boolean(value))
        return false;
    *ret_value = json_is_true(value);
    return true;
}

static void bad_request(struct session *session)
{
    session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
}

static void on_pong(struct session *session)
{
    if (!session->owes_pong) {
        bad_request(session);
        return;
    }
    session->owes_pong = false;
    const struct config *config = session_gateway(session)->config;
    if (session->due == DUE_PONG)
        session_schedule(session, DUE_PING, config->ws_ping_ms);
}

static const struct command_row *find_row(const json_t *command, const json_t **ret_params)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if ((*ret_params = json_object_get(command, rows[i].name)))
            return &rows[i];
    return NULL;
}

static bool read_id(const json_t *id, uint32_t *ret_id)
{
    if (!json_is_integer(id) || json_integer_value(id) < 1 || json_integer_value(id) > UINT32_MAX)
        return false;
    *ret_id = (uint32_t)json_integer_value(id);
    return true;
}

/* A client that sends too many commands gets an error reply, and one that goes on is disconnected. */
static bool is_in_time(struct session *session, uint32_t id)
{
    const struct gateway *gateway = session_gateway(session);
    switch (rate_take(&session->commands, clock_monotonic_s(), gateway->config->ws_commands_per_s,
                      gateway->config->ws_commands_burst)) {
    case RATE_FITS:
        return true;
    case RATE_OVER:
        reply_error(session, id, CENTRIFUGE_ERROR_TOO_MANY_REQUESTS);
        return false;
    case RATE_FLOOD:
        break;
    }
    session_disconnect(session, CENTRIFUGE_DISCONNECT_TOO_MANY_REQUESTS);
    return false;
}

static void run(struct session *session, const json_t *command)
{
    uint32_t id = 0;
    const json_t *params = NULL;
    bool connected = session->state == SESSION_CONNECTED;
    if (connected && json_object_get(command, "send")) { /* `send` has no reply, so no error can be sent */
        session_disconnect(session, CENTRIFUGE_DISCONNECT_NOT_AVAILABLE);
        return;
    }
    const struct command_row *row = find_row(command, &params);
    if (!row || !json_is_object(params) || !read_id(json_object_get(command, "id"), &id) ||
        connected == (row->handle == session_connect))
        bad_request(session);
    else if (is_in_time(session, id))
        row->handle(session, id, params);
}

/* A value that the JSON reader refuses (a lone surrogate, a number of 20 digits, too many levels) is the fault of one
 * command, whose client may not even have written it. So that command is refused, and the socket stays, where the
 * text still shows its id and its kind. True: it has been refused. */
static bool refuse_alone(struct session *session, struct slice line)
{
    struct slice inside, name, value;
    uint32_t id = 0;
    bool has_id = false, is_known = false, is_good = session->state == SESSION_CONNECTED;
    if (!json_scan_begin(line, &inside))
        return false;
    while (is_good && json_scan_next(&inside, &name, &value)) {
        CLEANUP(json_cleanup) json_t *number = slice_is(name, "id") ? json_number_of(value) : NULL;
        if (slice_is(name, "id")) {
            is_good = !has_id && read_id(number, &id);
            has_id = true;
        }
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            is_known = is_known || (rows[i].handle != session_connect && slice_is(name, rows[i].name));
    }
    if (!is_good || inside.len > 0 || !has_id || !is_known)
        return false;
    if (is_in_time(session, id))
        reply_error(session, id, CENTRIFUGE_ERROR_BAD_REQUEST);
    return true;
}

static void append_member(struct buf *object, struct slice name, struct slice value)
{
    if (buf_data(object)[buf_len(object) - 1] != '{')
        buf_append_char(object, ',');
    buf_append_char(object, '"');
    buf_append_slice(object, name);
    buf_append_text(object, "\":");
    buf_append_slice(object, value);
}

/* What a client's page says about itself in `data` of its connect is read by nobody, so nothing in it can be wrong. True:
 * *ret_command is the command without it. */
static bool read_connect_without_data(struct session *session, struct slice line, json_t **ret_command)
{
    CLEANUP(buf_done) struct buf text;
    struct slice command, name, value, connect = SLICE_NONE;
    char why[160];
    buf_init(&text, line.len + 16);
    if (session->state != SESSION_NEW || !json_scan_begin(line, &command))
        return false;
    buf_append_char(&text, '{');
    while (json_scan_next(&command, &name, &value)) {
        if (slice_is(name, "connect") && !connect.data)
            connect = value;
        else
            append_member(&text, name, value);
    }
    buf_append_text(&text, buf_len(&text) > 1 ? ",\"connect\":{" : "\"connect\":{");
    if (command.len > 0 || !connect.data || !json_scan_begin(connect, &command))
        return false;
    while (json_scan_next(&command, &name, &value))
        if (!slice_is(name, "data"))
            append_member(&text, name, value);
    buf_append_text(&text, "}}");
    return command.len == 0 && json_parse(buf_slice(&text), session_gateway(session)->config->max_json_depth,
                                          ret_command, why) == ERR_OK;
}

static void take(struct session *session, const json_t *command)
{
    if (!json_is_object(command))
        bad_request(session);
    else if (json_object_size(command) == 0)
        on_pong(session);
    else
        run(session, command);
}

/* The same for a command of the Protobuf form: only the data of an rpc is JSON. */
static bool refuse_rpc(struct session *session, const json_t *command)
{
    uint32_t id = 0;
    if (session->state != SESSION_CONNECTED || !read_id(json_object_get(command, "id"), &id))
        return false;
    if (is_in_time(session, id))
        reply_error(session, id, CENTRIFUGE_ERROR_BAD_REQUEST);
    return true;
}

void session_on_protobuf(struct session *session, struct slice message)
{
    CLEANUP(json_cleanup) json_t *command = NULL;
    bool is_whole = true;
    if (session->state == SESSION_REFUSED)
        return;
    if (message.len == 0) {
        on_pong(session);
        return;
    }
    int64_t depth = session_gateway(session)->config->max_json_depth;
    if (protobuf_read_command(message, depth, &command, &is_whole) != ERR_OK)
        bad_request(session);
    else if (is_whole || !refuse_rpc(session, command))
        take(session, command);
}

void session_on_line(struct session *session, struct slice line)
{
    char why[160];
    json_t *command = NULL;
    if (session->state == SESSION_REFUSED)
        return;                 /* the client was told to reconnect with another token */
    if (slice_is(line, "{}")) { /* by far the most frequent message, so it is not parsed */
        on_pong(session);
        return;
    }
    if (json_parse(line, session_gateway(session)->config->max_json_depth, &command, why) != ERR_OK &&
        !read_connect_without_data(session, line, &command)) {
        if (!refuse_alone(session, line))
            bad_request(session);
        return;
    }
    take(session, command);
    json_decref(command);
}
