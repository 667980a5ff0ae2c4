#include "common/broker/private.h"

#include <errno.h>
#include <sys/socket.h>

/* Output has two sources: `control` (methods, acks, heartbeats) and the messages of the ring, which are
 * written without a copy. The frames of one message stay together: when one is partly written, what remains
 * of it goes first. */

enum { PARTS_MAX = 512 };

struct parts {
    struct iovec iov[PARTS_MAX];
    size_t count;
    size_t size;
};

void broker_output_raw(struct broker *b, const void *data, size_t size)
{
    if (!buf_append(&b->control, data, size))
        broker_fail(b, "the server does not read what it is sent");
}

void broker_output_method(struct broker *b, uint16_t channel, amqp_method_number_t id, void *method)
{
    uint8_t *frame = (uint8_t *)buf_reserve(&b->control, FRAME_MIN);
    if (!frame) {
        broker_fail(b, "the server does not read what it is sent");
        return;
    }
    uint8_t *payload = frame + FRAME_HEAD;
    wire_put32(payload, id);
    int size = amqp_encode_method(id, method, (amqp_bytes_t){CONTROL_METHOD_MAX, payload + 4});
    if (size < 0) {
        broker_fail(b, "a name or an argument is too long for AMQP");
        return;
    }
    buf_commit(&b->control, broker_frame_close(frame, AMQP_FRAME_METHOD, channel, 4 + (size_t)size));
}

void broker_output_acks(struct broker *b)
{
    struct broker_acks *a = &b->acks;
    if (a->run == a->written)
        return;
    amqp_basic_ack_t ack = {.delivery_tag = a->run, .multiple = a->run > a->written + 1};
    broker_output_method(b, CHANNEL, AMQP_BASIC_ACK_METHOD, &ack);
    a->written = a->run;
}

void broker_ack(struct broker *b, uint32_t epoch, uint64_t tag, bool multiple)
{
    struct broker_acks *a = &b->acks;
    if (epoch != b->epoch || !broker_has_channel(b) || tag <= a->run)
        return;
    if (multiple || tag == a->run + 1) {
        a->run = tag;
        return;
    }
    amqp_basic_ack_t ack = {.delivery_tag = tag};
    broker_output_method(b, CHANNEL, AMQP_BASIC_ACK_METHOD, &ack);
}

/* The server refuses a multiple ack whose tag it no longer waits for. So the run is written out before a
 * rejected delivery joins it. */
void broker_reject(struct broker *b, uint32_t epoch, uint64_t tag, bool requeue)
{
    struct broker_acks *a = &b->acks;
    if (epoch != b->epoch || !broker_has_channel(b) || tag <= a->run)
        return;
    if (tag == a->run + 1) {
        broker_output_acks(b);
        a->run = a->written = tag;
    }
    amqp_basic_reject_t reject = {.delivery_tag = tag, .requeue = requeue};
    broker_output_method(b, CHANNEL, AMQP_BASIC_REJECT_METHOD, &reject);
}

static void add_part(struct parts *p, const void *data, size_t size)
{
    p->iov[p->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    p->size += size;
}

static void gather(const struct broker *b, struct parts *p)
{
    const struct broker_confirms *c = &b->confirms;
    uint64_t slot = c->unsent;
    p->count = p->size = 0;
    if (c->written > 0) {
        const struct broker_frames *frames = broker_confirms_at(c, slot++);
        add_part(p, frames->octets + c->written, frames->size - c->written);
    }
    if (buf_len(&b->control) > 0)
        add_part(p, buf_data(&b->control), buf_len(&b->control));
    if (b->state != BROKER_UP)
        return;
    for (; slot < c->next && p->count < PARTS_MAX; slot++) {
        const struct broker_frames *frames = broker_confirms_at(c, slot);
        add_part(p, frames->octets, frames->size);
    }
}

/* Marks up to n octets of the message at `unsent` as written, and returns how many those were. */
static size_t message_written(struct broker_confirms *c, size_t n)
{
    size_t rest = broker_confirms_at(c, c->unsent)->size - c->written;
    size_t took = n < rest ? n : rest;
    c->written += took;
    c->unsent_bytes -= took;
    if (took == rest) {
        c->unsent++;
        c->written = 0;
    }
    return took;
}

/* Marks n octets as written, in the order of gather(). */
static void advance(struct broker *b, size_t n)
{
    struct broker_confirms *c = &b->confirms;
    if (c->written > 0)
        n -= message_written(c, n);
    size_t control = n < buf_len(&b->control) ? n : buf_len(&b->control);
    buf_consume(&b->control, control);
    n -= control;
    while (n > 0)
        n -= message_written(c, n);
}

void broker_output_flush(struct broker *b)
{
    if (b->state < BROKER_HANDSHAKE || b->fd < 0)
        return;
    if (broker_has_channel(b))
        broker_output_acks(b);
    for (;;) {
        struct parts p;
        gather(b, &p);
        if (p.count == 0)
            break;
        struct msghdr out = {.msg_iov = p.iov, .msg_iovlen = p.count};
        ssize_t n = sendmsg(b->fd, &out, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            broker_fail(b, "writing: %s", strerror(errno));
            return;
        }
        if (n > 0) {
            b->sent_since_tick = true;
            advance(b, (size_t)n);
        }
        if (n < (ssize_t)p.size) {
            ev_io_start(b->loop, &b->io_write);
            return;
        }
    }
    ev_io_stop(b->loop, &b->io_write);
}
