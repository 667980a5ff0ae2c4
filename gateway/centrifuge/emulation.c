#include "gateway/centrifuge/emulation.h"

#include "common/base/json.h"
#include "gateway/bus/peers.h"
#include "gateway/centrifuge/http_stream.h"
#include "gateway/centrifuge/protobuf.h"
#include "gateway/http/authorize.h"
#include "gateway/http/preconditions.h"
#include "gateway/net/conn.h"
#include "gateway/ws/handshake.h"

enum { DEPTH_MAX = 4 };

struct emulation {
    struct uuid node, secret;
    struct slice commands; /* in the call's arena */
};

static struct slice member(const json_t *object, const char *name)
{
    const json_t *text = json_object_get(object, name);
    return json_is_string(text) ? (struct slice){json_string_value(text), json_string_length(text)}
                                : SLICE_NONE;
}

/* {"node":"…","session":"…","data":"{\"id\":2,…}\n{…}"} */
static enum err read_json(struct call *call, struct emulation *emulation, const char **ret_detail)
{
    static char why[160];
    CLEANUP(json_cleanup) json_t *body = NULL;
    if (json_parse(call->body, DEPTH_MAX, &body, why) != ERR_OK) {
        *ret_detail = why;
        return ERR_BAD_REQUEST;
    }
    struct slice data = member(body, "data");
    if (!uuid_parse(member(body, "node"), &emulation->node) ||
        !uuid_parse(member(body, "session"), &emulation->secret) || data.len == 0) {
        *ret_detail =
            "`node`, `session` and `data` must be texts: those of the reply to connect, and commands.";
        return ERR_BAD_REQUEST;
    }
    emulation->commands = arena_copy(&call->arena, data);
    return emulation->commands.data ? ERR_OK : ERR_BODY_TOO_LARGE;
}

static enum err read_request(struct call *call, struct emulation *emulation, const char **ret_detail)
{
    if (!media_type_is(call_header(call, "content-type"), "application/octet-stream"))
        return read_json(call, emulation, ret_detail);
    if (protobuf_read_emulation(call->body, &emulation->node, &emulation->secret, &emulation->commands))
        return ERR_OK;
    *ret_detail =
        "The body must be an EmulationRequest with the `node` and `session` of the reply to connect.";
    return ERR_BAD_REQUEST;
}

static const char too_many[] = "Too many tokens or sessions that this address has shown were wrong.";

static void answer(struct call *call, enum err err, const char *detail)
{
    if (err == ERR_NOT_FOUND) {
        authorize_refused(call->conn, "there is no such session");
        detail = "There is no such session, or it has ended.";
    }
    if (err) {
        call_fail(call, err, detail);
        return;
    }
    conn_set_known(call->conn);
    call_respond(call, 204, NULL, SLICE_NONE);
}

/* ---- the stream of another process ---- */

/* The question: the secret, 16 octets; a random number that tells it from others, 8 octets; the commands. */
enum { QUESTION_HEAD = sizeof(struct uuid) + sizeof(uint64_t) };

static uint64_t new_number(void)
{
    uint64_t number;
    struct uuid id = uuid_v7();
    memcpy(&number, id.octet + sizeof(number), sizeof(number)); /* the random half */
    return number;
}

static void ask(struct call *call, const struct emulation *emulation)
{
    CLEANUP(buf_done) struct buf question;
    uint64_t number = new_number();
    buf_init(&question, QUESTION_HEAD + emulation->commands.len);
    buf_append(&question, emulation->secret.octet, sizeof(emulation->secret.octet));
    buf_append(&question, &number, sizeof(number));
    buf_append_slice(&question, emulation->commands);
    peers_ask(call, &emulation->node, SLICE(EMULATION_TYPE), buf_slice(&question), answer);
}

enum err emulation_on_question(struct gateway *gateway, struct slice body)
{
    struct uuid secret;
    uint64_t number;
    if (body.len <= QUESTION_HEAD)
        return ERR_BAD_REQUEST;
    memcpy(secret.octet, body.data, sizeof(secret.octet));
    memcpy(&number, body.data + sizeof(secret.octet), sizeof(number));
    struct slice commands = {body.data + QUESTION_HEAD, body.len - QUESTION_HEAD};
    return http_streams_hear(gateway->streams, &secret, number, commands) ? ERR_OK : ERR_NOT_FOUND;
}

/* ---- the request ---- */

static void hear(struct call *call, const struct emulation *emulation)
{
    struct gateway *gateway = call->gateway;
    bool is_here = peers_is_self(gateway, &emulation->node);
    if (is_here && http_streams_hear(gateway->streams, &emulation->secret, 0, emulation->commands))
        answer(call, ERR_OK, NULL);
    else if (!conn_is_known(call->conn) && !authorize_may_try(call->conn))
        answer(call, ERR_TOO_MANY_REQUESTS, too_many);
    else if (is_here)
        answer(call, ERR_NOT_FOUND, NULL);
    else
        ask(call, emulation);
}

void emulation_post(struct call *call)
{
    struct emulation emulation;
    const char *detail = NULL;
    enum err err = ERR_FORBIDDEN;
    if (!ws_origin_may(call))
        detail = "Pages of this origin are not allowed to connect.";
    else
        err = read_request(call, &emulation, &detail);
    if (!err && emulation.commands.len > (size_t)call->gateway->config->ws_max_message)
        err = ERR_BODY_TOO_LARGE;
    if (err)
        call_fail(call, err, detail);
    else
        hear(call, &emulation);
}
