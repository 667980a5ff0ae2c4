#include "common/broker/private.h"

#include <errno.h>
#include <sys/socket.h>

/* Frames are parsed here, in place. amqp_handle_input would copy each of them, and in librabbitmq 0.11 it
 * reads past the end of a method or header frame that is shorter than its fixed part. Anything malformed ends
 * the connection. */

enum { METHOD_MIN = 4, HEADER_MIN = 14 };

/* The server's reason is recorded first: writing the answer may fail too, and the first failure is the one
 * reported. */
static void on_close(struct broker *b, const void *method)
{
    const amqp_connection_close_t *close = method;
    broker_fail(b, "%d %.*s", close->reply_code, (int)close->reply_text.len,
                (const char *)close->reply_text.bytes);
    broker_output_method(b, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &(amqp_connection_close_ok_t){0});
    broker_output_flush(b);
}

/* The connection has this one channel and is of no use without it, so it ends as well. */
static void on_channel_close(struct broker *b, const void *method)
{
    const amqp_channel_close_t *close = method;
    broker_fail(b, "%d %.*s", close->reply_code, (int)close->reply_text.len,
                (const char *)close->reply_text.bytes);
    b->at_once = broker_declarations_refused(b, close);
    broker_output_method(b, CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &(amqp_channel_close_ok_t){0});
    amqp_connection_close_t goodbye = {.reply_code = AMQP_REPLY_SUCCESS};
    broker_output_method(b, 0, AMQP_CONNECTION_CLOSE_METHOD, &goodbye);
    broker_output_flush(b);
}

static void set_blocked(struct broker *b, bool blocked)
{
    if (!broker_has_channel(b) || blocked == (b->state == BROKER_BLOCKED))
        return;
    broker_set_state(b, blocked ? BROKER_BLOCKED : BROKER_UP, -1);
    if (b->callbacks.on_blocked)
        b->callbacks.on_blocked(b->ctx, b, blocked);
}

static void on_blocked(struct broker *b, const void *method)
{
    (void)method;
    set_blocked(b, true);
}

static void on_unblocked(struct broker *b, const void *method)
{
    (void)method;
    set_blocked(b, false);
}

static void on_ack(struct broker *b, const void *method)
{
    const amqp_basic_ack_t *ack = method;
    broker_confirms_settle(b, ack->delivery_tag, ack->multiple, ERR_OK);
}

static void on_nack(struct broker *b, const void *method)
{
    const amqp_basic_nack_t *nack = method;
    broker_confirms_settle(b, nack->delivery_tag, nack->multiple, ERR_QUEUE_FULL);
}

static void on_cancel(struct broker *b, const void *method)
{
    const amqp_basic_cancel_t *cancel = method;
    broker_fail(b, "the server cancelled consumer %.*s", (int)cancel->consumer_tag.len,
                (const char *)cancel->consumer_tag.bytes);
}

enum kind { PLAIN, CONTENT, ANSWER, HANDSHAKE_STEP };

/* The methods that a server may send us, the frequent ones first. Every other method is refused before it is
 * decoded. */
static const struct row {
    amqp_method_number_t id;
    uint16_t channel;
    enum kind kind;
    void (*handle)(struct broker *b, const void *method); /* only for PLAIN */
} rows[] = {
    {AMQP_BASIC_ACK_METHOD, CHANNEL, PLAIN, on_ack},
    {AMQP_BASIC_DELIVER_METHOD, CHANNEL, CONTENT, NULL},
    {AMQP_BASIC_NACK_METHOD, CHANNEL, PLAIN, on_nack},
    {AMQP_BASIC_RETURN_METHOD, CHANNEL, CONTENT, NULL},
    {AMQP_BASIC_CANCEL_METHOD, CHANNEL, PLAIN, on_cancel},
    {AMQP_CHANNEL_CLOSE_METHOD, CHANNEL, PLAIN, on_channel_close},
    {AMQP_CONNECTION_CLOSE_METHOD, 0, PLAIN, on_close},
    {AMQP_CONNECTION_BLOCKED_METHOD, 0, PLAIN, on_blocked},
    {AMQP_CONNECTION_UNBLOCKED_METHOD, 0, PLAIN, on_unblocked},
    {AMQP_EXCHANGE_DECLARE_OK_METHOD, CHANNEL, ANSWER, NULL},
    {AMQP_EXCHANGE_BIND_OK_METHOD, CHANNEL, ANSWER, NULL},
    {AMQP_QUEUE_DECLARE_OK_METHOD, CHANNEL, ANSWER, NULL},
    {AMQP_QUEUE_BIND_OK_METHOD, CHANNEL, ANSWER, NULL},
    {AMQP_QUEUE_UNBIND_OK_METHOD, CHANNEL, ANSWER, NULL},
    {AMQP_BASIC_QOS_OK_METHOD, CHANNEL, ANSWER, NULL},
    {AMQP_BASIC_CONSUME_OK_METHOD, CHANNEL, ANSWER, NULL},
    {AMQP_BASIC_CANCEL_OK_METHOD, CHANNEL, ANSWER, NULL},
    {AMQP_CONNECTION_START_METHOD, 0, HANDSHAKE_STEP, NULL},
    {AMQP_CONNECTION_TUNE_METHOD, 0, HANDSHAKE_STEP, NULL},
    {AMQP_CONNECTION_OPEN_OK_METHOD, 0, HANDSHAKE_STEP, NULL},
    {AMQP_CHANNEL_OPEN_OK_METHOD, CHANNEL, HANDSHAKE_STEP, NULL},
    {AMQP_CONFIRM_SELECT_OK_METHOD, CHANNEL, HANDSHAKE_STEP, NULL},
};

static const struct row *find_row(amqp_method_number_t id, uint16_t channel)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].id == id)
            return rows[i].channel == channel ? &rows[i] : NULL;
    return NULL;
}

static void take_counts(struct broker_answer *answer, const amqp_queue_declare_ok_t *ok)
{
    answer->messages = ok->message_count;
    answer->queue_consumers = ok->consumer_count;
}

static struct broker_answer answer_of(amqp_method_number_t id, const void *method)
{
    struct broker_answer answer = {.id = id};
    if (id == AMQP_BASIC_CONSUME_OK_METHOD)
        answer.consumer = slice_of_amqp(((const amqp_basic_consume_ok_t *)method)->consumer_tag);
    if (id == AMQP_BASIC_CANCEL_OK_METHOD)
        answer.consumer = slice_of_amqp(((const amqp_basic_cancel_ok_t *)method)->consumer_tag);
    if (id == AMQP_QUEUE_DECLARE_OK_METHOD)
        take_counts(&answer, method);
    return answer;
}

static void take_answer(struct broker *b, amqp_method_number_t id, const void *method)
{
    const struct broker_answer answer = answer_of(id, method);
    broker_declarations_answered(b, &answer);
}

static void dispatch(struct broker *b, const struct row *row, struct slice payload)
{
    void *method = NULL;
    amqp_bytes_t arguments = {payload.len - METHOD_MIN, (void *)(uintptr_t)(payload.data + METHOD_MIN)};
    if (amqp_decode_method(row->id, &b->pool, arguments, &method) != AMQP_STATUS_OK)
        broker_fail(b, "the server sent a malformed %s", amqp_method_name(row->id));
    else if (row->kind == HANDSHAKE_STEP)
        broker_handshake_method(b, row->id, method);
    else if (row->kind == ANSWER)
        take_answer(b, row->id, method);
    else
        row->handle(b, method);
    recycle_amqp_pool(&b->pool);
}

static void on_method(struct broker *b, uint16_t channel, struct slice payload)
{
    amqp_method_number_t id = payload.len >= METHOD_MIN ? wire_get32(payload.data) : 0;
    const struct row *row = find_row(id, channel);
    if (!row || (channel == CHANNEL && b->content.awaits != CONTENT_NONE))
        broker_fail(b, "the server sent method %u.%u out of place", id >> 16, id & 0xffff);
    else if (row->kind != CONTENT)
        dispatch(b, row, payload);
    else if (broker_has_channel(b))
        broker_content_method(b, id, payload);
    else
        broker_fail(b, "the server sent a message before the channel was open");
}

static void on_header(struct broker *b, uint16_t channel, struct slice payload)
{
    if (channel != CHANNEL || payload.len < HEADER_MIN || b->content.awaits != CONTENT_HEADER)
        broker_fail(b, "the server sent a header frame out of place");
    else
        broker_content_header(b, payload);
}

static void on_body(struct broker *b, uint16_t channel, struct slice payload)
{
    if (channel != CHANNEL || b->content.awaits != CONTENT_BODY)
        broker_fail(b, "the server sent a body frame out of place");
    else
        broker_content_body(b, payload);
}

static void on_heartbeat(struct broker *b, uint16_t channel, struct slice payload)
{
    (void)b, (void)channel, (void)payload; /* it only says that octets came, which is noted already */
}

typedef void on_frame(struct broker *b, uint16_t channel, struct slice payload);

static on_frame *const frame_handlers[] = {
    [AMQP_FRAME_METHOD] = on_method,
    [AMQP_FRAME_HEADER] = on_header,
    [AMQP_FRAME_BODY] = on_body,
    [AMQP_FRAME_HEARTBEAT] = on_heartbeat,
};

/* Takes one frame off the input. Returns false when no whole frame is left, or when the connection has
 * failed. */
static bool take_frame(struct broker *b)
{
    const uint8_t *frame = b->input + b->input_begin;
    size_t available = b->input_end - b->input_begin;
    if (b->has_failed || available < FRAME_HEAD)
        return false;
    on_frame *handle = frame[0] < ARRAY_LEN(frame_handlers) ? frame_handlers[frame[0]] : NULL;
    size_t limit = broker_has_channel(b) ? b->frame_max : FRAME_BEFORE_TUNE;
    size_t size = FRAME_HEAD + (size_t)wire_get32(frame + 3) + FRAME_TAIL;
    if (!handle || size > limit) {
        broker_fail(b, "the server does not speak AMQP 0-9-1");
        return false;
    }
    if (available < size)
        return false;
    if (frame[size - 1] != AMQP_FRAME_END) {
        broker_fail(b, "the server sent a frame without its end");
        return false;
    }
    b->input_begin += size;
    handle(b, wire_get16(frame + 1),
           (struct slice){(const char *)frame + FRAME_HEAD, size - FRAME_HEAD - FRAME_TAIL});
    return true;
}

static void make_room(struct broker *b)
{
    if (b->input_begin == b->input_end) {
        b->input_begin = b->input_end = 0;
    } else if (INPUT_SIZE - b->input_end < FRAME_MAX) {
        memmove(b->input, b->input + b->input_begin, b->input_end - b->input_begin);
        b->input_end -= b->input_begin;
        b->input_begin = 0;
    }
}

void broker_input_readable(struct broker *b)
{
    make_room(b);
    ssize_t n = recv(b->fd, b->input + b->input_end, INPUT_SIZE - b->input_end, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        broker_fail(b, n < 0 ? "reading: %s" : "the server closed the connection%s",
                    n < 0 ? strerror(errno) : "");
        return;
    }
    b->input_end += (size_t)n;
    b->silent_ticks = 0;
    while (take_frame(b))
        ;
}

void broker_input_reset(struct broker *b)
{
    b->input_begin = b->input_end = 0;
    broker_content_reset(&b->content);
}
