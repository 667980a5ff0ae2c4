#include "gateway/centrifuge/link.h"
#include "gateway/centrifuge/private.h"

enum { BATCH_BYTES = 65536 }; /* replies of one message go out together up to about this size */

static void begin(struct buf *reply, const struct session *session, uint32_t id)
{
    buf_init(reply, (size_t)session_gateway(session)->config->max_output_bytes);
    buf_printf(reply, "{\"id\":%u,", id);
}

void reply_begin(struct buf *reply, const struct session *session, uint32_t id, const char *result)
{
    begin(reply, session, id);
    buf_printf(reply, "\"%s\":{", result);
}

void reply_flush(struct session *session)
{
    if (!session->batch || buf_len(session->batch) == 0)
        return;
    link_send(session->link, buf_slice(session->batch));
    buf_clear(session->batch);
}

static void gather(struct session *session, struct slice line)
{
    if (buf_len(session->batch) + line.len > BATCH_BYTES)
        reply_flush(session);
    form_append(session->form, session->batch, line);
}

/* JSON as it is; other forms through a buffer. */
static void send_alone(struct session *session, struct slice line)
{
    struct buf message;
    if (!form_info(session->form)->is_protobuf) {
        link_send(session->link, line);
        return;
    }
    buf_init(&message, (size_t)session_gateway(session)->config->max_output_bytes);
    form_append(session->form, &message, line);
    link_send(session->link, buf_slice(&message));
    buf_done(&message);
}

void reply_push(struct buf *push, struct session *session)
{
    reply_flush(session);
    send_alone(session, buf_slice(push));
    buf_done(push);
}

void reply_ping(struct session *session)
{
    send_alone(session, SLICE("{}"));
}

static void send_line(struct buf *reply, struct session *session)
{
    if (reply->truncated)
        session_disconnect(session, CENTRIFUGE_DISCONNECT_SLOW); /* longer than max_output_bytes */
    else if (session->batch)
        gather(session, buf_slice(reply));
    else
        send_alone(session, buf_slice(reply));
    buf_done(reply);
}

void reply_end(struct buf *reply, struct session *session)
{
    buf_append_text(reply, "}}");
    send_line(reply, session);
}

void reply_error(struct session *session, uint32_t id, enum centrifuge_error error)
{
    const struct centrifuge_error_info *info = centrifuge_error_info(error);
    struct buf reply;
    begin(&reply, session, id);
    buf_printf(&reply, "\"error\":{\"code\":%d,\"message\":\"%s\"%s}}", info->code, info->message,
               info->temporary ? ",\"temporary\":true" : "");
    send_line(&reply, session);
}

/* The client asks for its next token when these seconds are over. They are rounded down, so that it does so before the
 * token expires and not up to a second later: then the session would live on the leeway alone, which may be 0. */
static void append_ttl(struct buf *reply, const struct session *session)
{
    ev_tstamp left = (ev_tstamp)session->identity.expires_at - ev_now(session_gateway(session)->loop);
    int64_t ttl = (int64_t)left;
    buf_printf(reply, "\"expires\":true,\"ttl\":%lld", ttl > 1 ? (long long)ttl : 1LL);
}

void reply_client(struct buf *reply, const struct session *session)
{
    char client[UUID_TEXT_LEN + 1];
    uuid_format(&session->client, client);
    buf_printf(reply, "\"client\":\"%s\",\"version\":\"cortexbuild %s\",", client, CORTEX_VERSION);
    append_ttl(reply, session);
}
