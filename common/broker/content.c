#include "common/broker/private.h"

enum {
    META_MAX = 2 * FRAME_MAX,
    BODY_KEPT_MAX = 1 << 20, /* memory that is kept for the next body of several frames */
    BODY_SIZE_AT = 4,        /* in a header frame: class, weight, body size, properties */
    PROPERTIES_AT = 12,
};

void broker_content_init(struct broker_content *c)
{
    buf_init(&c->meta, META_MAX);
    buf_init(&c->body, BROKER_BODY_MAX);
}

void broker_content_done(struct broker_content *c)
{
    buf_done(&c->meta);
    buf_done(&c->body);
}

void broker_content_reset(struct broker_content *c)
{
    c->awaits = CONTENT_NONE;
    buf_clear(&c->meta);
    buf_clear(&c->body);
    if (c->body.capacity > BODY_KEPT_MAX)
        buf_done(&c->body);
}

void broker_content_method(struct broker *b, amqp_method_number_t id, struct slice payload)
{
    struct broker_content *c = &b->content;
    broker_content_reset(c);
    buf_append_slice(&c->meta, payload);
    c->method = id;
    c->method_size = payload.len;
    c->awaits = CONTENT_HEADER;
}

/* `meta` keeps the method and the properties, because the header may have arrived in a later read than the
 * method. */
static void deliver(struct broker *b, void *method, struct slice properties, struct slice body)
{
    const amqp_basic_deliver_t *deliver = method;
    struct broker_delivery delivery = {
        .tag = deliver->delivery_tag,
        .epoch = b->epoch,
        .redelivered = deliver->redelivered,
        .consumer_tag = slice_of_amqp(deliver->consumer_tag),
        .exchange = slice_of_amqp(deliver->exchange),
        .routing_key = slice_of_amqp(deliver->routing_key),
        .body = body,
    };
    if (!broker_properties_read(properties, b->headers, &delivery)) {
        broker_fail(b, "the server sent malformed properties");
        return;
    }
    if (!broker_has_consumer(b, delivery.consumer_tag))
        broker_reject(b, b->epoch, delivery.tag, true); /* its consumer has ended */
    else if (!body.data)
        broker_reject(b, b->epoch, delivery.tag, false); /* too large; it becomes a dead letter */
    else if (b->callbacks.on_delivery)
        b->callbacks.on_delivery(b->ctx, b, &delivery);
}

static void returned(struct broker *b, void *method, struct slice properties, struct slice body)
{
    (void)body;
    const amqp_basic_return_t *ret = method;
    struct broker_delivery message = {0};
    if (!broker_properties_read(properties, b->headers, &message))
        broker_fail(b, "the server sent malformed properties");
    else
        broker_confirms_returned(b, slice_of_amqp(ret->exchange), slice_of_amqp(ret->routing_key),
                                 message.message_id);
}

static void complete(struct broker *b, struct slice body)
{
    struct broker_content *c = &b->content;
    struct slice meta = buf_slice(&c->meta);
    struct slice properties = {meta.data + c->method_size + PROPERTIES_AT,
                               meta.len - c->method_size - PROPERTIES_AT};
    amqp_bytes_t arguments = {c->method_size - 4, (void *)(uintptr_t)(meta.data + 4)};
    void *method = NULL;
    c->awaits = CONTENT_NONE;
    if (amqp_decode_method(c->method, &b->pool, arguments, &method) != AMQP_STATUS_OK)
        broker_fail(b, "the server sent a malformed %s", amqp_method_name(c->method));
    else if (c->method == AMQP_BASIC_DELIVER_METHOD)
        deliver(b, method, properties, body);
    else
        returned(b, method, properties, body);
    recycle_amqp_pool(&b->pool);
}

void broker_content_header(struct broker *b, struct slice payload)
{
    struct broker_content *c = &b->content;
    if (wire_get16(payload.data) != AMQP_BASIC_CLASS) {
        broker_fail(b, "the server sent a header of another class");
        return;
    }
    buf_append_slice(&c->meta, payload);
    c->body_size = wire_get64(payload.data + BODY_SIZE_AT);
    c->body_got = 0;
    c->awaits = CONTENT_BODY;
    if (c->body_size == 0)
        complete(b, SLICE(""));
}

/* A body of one frame is handed out from the input buffer, without a copy. */
void broker_content_body(struct broker *b, struct slice payload)
{
    struct broker_content *c = &b->content;
    if (payload.len > c->body_size - c->body_got) {
        broker_fail(b, "the server sent a longer body than it announced");
        return;
    }
    c->body_got += payload.len;
    if (payload.len == c->body_size) {
        complete(b, payload);
        return;
    }
    bool fits = c->body_size <= BROKER_BODY_MAX;
    if (fits)
        buf_append_slice(&c->body, payload);
    if (c->body_got == c->body_size)
        complete(b, fits ? buf_slice(&c->body) : SLICE_NONE);
}
