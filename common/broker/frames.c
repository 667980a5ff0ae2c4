#include "common/broker/private.h"

/*   method frame: basic.publish │ header frame: body size, properties │ body frames, none for an empty body
 *
 * All sizes are computed before anything is written, so a message costs one allocation and one pass. */

enum {
    PUBLISH_FIXED = 4 + 2 + 1, /* method id, ticket, mandatory and immediate bits */
    HEADER_FIXED = 2 + 2 + 8,  /* class, weight, body size */
    EXCHANGE_AT = FRAME_HEAD + 4 + 2,
    FRAME_AROUND = FRAME_HEAD + FRAME_TAIL,
    CC_FIXED = 1 + 2 + 1 + 4, /* name, kind, array size */
    CC_KEY_FIXED = 1 + 4,     /* kind, text size */
};

/* The properties that are sent, and the sizes of method and properties. */
struct layout {
    amqp_basic_properties_t properties;
    amqp_table_entry_t headers[BROKER_HEADERS_MAX + 1];
    amqp_field_value_t cc[BROKER_CC_MAX];
    size_t method_size, properties_size;
    size_t message_id_at; /* in the properties */
};

static size_t short_string_size(struct slice s)
{
    return 1 + s.len;
}

static bool is_short(struct slice s)
{
    return s.len <= SHORT_STRING_MAX;
}

static bool all_short(const struct broker_message *m)
{
    for (size_t i = 0; i < m->cc_count; i++)
        if (!is_short(m->cc[i]))
            return false;
    return is_short(m->exchange) && is_short(m->routing_key) && is_short(m->content_type) &&
           is_short(m->message_id) && is_short(m->correlation_id) && is_short(m->reply_to) &&
           is_short(m->type);
}

static bool add_header(struct layout *l, const struct broker_header *header)
{
    if (!header->is_integer && !header->text.data)
        return true; /* absent */
    if (!is_short(header->name) || header->name.len == 0)
        return false;
    amqp_table_entry_t *entry = &l->headers[l->properties.headers.num_entries++];
    entry->key = amqp_bytes_of(header->name);
    l->properties_size += short_string_size(header->name) + 1;
    if (header->is_integer) {
        entry->value = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I64, .value.i64 = header->integer};
        l->properties_size += 8;
    } else {
        entry->value =
            (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_bytes_of(header->text)};
        l->properties_size += 4 + header->text.len;
    }
    return true;
}

static void add_cc(struct layout *l, const struct slice *keys, size_t key_count)
{
    int count = 0;
    for (size_t i = 0; i < key_count; i++)
        if (keys[i].data) {
            l->cc[count++] =
                (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_bytes_of(keys[i])};
            l->properties_size += CC_KEY_FIXED + keys[i].len;
        }
    if (count == 0)
        return;
    l->headers[l->properties.headers.num_entries++] = (amqp_table_entry_t){
        .key = {2, "CC"},
        .value = {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {count, l->cc}},
    };
    l->properties_size += CC_FIXED;
}

static void add_text(struct layout *l, amqp_bytes_t *field, amqp_flags_t flag, struct slice s)
{
    if (!s.data)
        return;
    *field = amqp_bytes_of(s);
    l->properties._flags |= flag;
    l->properties_size += short_string_size(s);
}

/* Adds the properties in the order of the wire, which gives the offset of the message id. */
static enum err lay_out(const struct broker_message *m, struct layout *l)
{
    amqp_basic_properties_t *p = &l->properties;
    if (m->cc_count > BROKER_CC_MAX || m->header_count > BROKER_HEADERS_MAX || !all_short(m))
        return ERR_BAD_REQUEST;
    l->method_size = PUBLISH_FIXED + short_string_size(m->exchange) + short_string_size(m->routing_key);
    l->properties_size = 2; /* flags */
    add_text(l, &p->content_type, AMQP_BASIC_CONTENT_TYPE_FLAG, m->content_type);
    p->headers.entries = l->headers;
    for (size_t i = 0; i < m->header_count; i++)
        if (!add_header(l, &m->headers[i]))
            return ERR_BAD_REQUEST;
    add_cc(l, m->cc, m->cc_count);
    if (p->headers.num_entries > 0) {
        p->_flags |= AMQP_BASIC_HEADERS_FLAG;
        l->properties_size += 4;
    }
    p->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
    p->delivery_mode = m->persistent ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT;
    l->properties_size++;
    add_text(l, &p->correlation_id, AMQP_BASIC_CORRELATION_ID_FLAG, m->correlation_id);
    add_text(l, &p->reply_to, AMQP_BASIC_REPLY_TO_FLAG, m->reply_to);
    l->message_id_at = l->properties_size + 1;
    add_text(l, &p->message_id, AMQP_BASIC_MESSAGE_ID_FLAG, m->message_id);
    if (m->timestamp) {
        p->timestamp = (uint64_t)m->timestamp;
        p->_flags |= AMQP_BASIC_TIMESTAMP_FLAG;
        l->properties_size += 8;
    }
    add_text(l, &p->type, AMQP_BASIC_TYPE_FLAG, m->type);
    return ERR_OK;
}

size_t broker_frame_close(uint8_t *frame, uint8_t type, uint16_t channel, size_t size)
{
    frame[0] = type;
    wire_put16(frame + 1, channel);
    wire_put32(frame + 3, (uint32_t)size);
    frame[FRAME_HEAD + size] = AMQP_FRAME_END;
    return FRAME_HEAD + size + FRAME_TAIL;
}

static uint8_t *write_publish(uint8_t *at, const struct broker_message *m, const struct layout *l)
{
    amqp_basic_publish_t publish = {
        .exchange = amqp_bytes_of(m->exchange),
        .routing_key = amqp_bytes_of(m->routing_key),
        .mandatory = m->mandatory,
    };
    wire_put32(at + FRAME_HEAD, AMQP_BASIC_PUBLISH_METHOD);
    int size = amqp_encode_method(AMQP_BASIC_PUBLISH_METHOD, &publish,
                                  (amqp_bytes_t){l->method_size - 4, at + FRAME_HEAD + 4});
    if (size < 0 || (size_t)size + 4 != l->method_size)
        return NULL;
    return at + broker_frame_close(at, AMQP_FRAME_METHOD, CHANNEL, l->method_size);
}

static uint8_t *write_header(uint8_t *at, size_t body_size, struct layout *l)
{
    uint8_t *payload = at + FRAME_HEAD;
    wire_put16(payload, AMQP_BASIC_CLASS);
    wire_put16(payload + 2, 0);
    wire_put64(payload + 4, body_size);
    int size = amqp_encode_properties(AMQP_BASIC_CLASS, &l->properties,
                                      (amqp_bytes_t){l->properties_size, payload + HEADER_FIXED});
    if (size < 0 || (size_t)size != l->properties_size)
        return NULL;
    return at + broker_frame_close(at, AMQP_FRAME_HEADER, CHANNEL, HEADER_FIXED + l->properties_size);
}

static size_t body_frames_size(size_t body_size, size_t frame_max)
{
    size_t room = frame_max - FRAME_AROUND;
    return body_size + (body_size + room - 1) / room * FRAME_AROUND;
}

static uint8_t *write_body(uint8_t *at, struct slice body, size_t frame_max)
{
    size_t room = frame_max - FRAME_AROUND;
    while (body.len > 0) {
        size_t part = body.len < room ? body.len : room;
        memcpy(at + FRAME_HEAD, body.data, part);
        at += broker_frame_close(at, AMQP_FRAME_BODY, CHANNEL, part);
        body.data += part;
        body.len -= part;
    }
    return at;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static uint32_t largest_frame(size_t head_frame, size_t body_size, size_t frame_max)
{
    size_t body_frame = body_size + FRAME_AROUND;
    return (uint32_t)larger(head_frame, body_frame < frame_max ? body_frame : frame_max);
}

enum err broker_frames_new(const struct broker_message *message, size_t frame_max,
                           struct broker_frames **ret_frames)
{
    struct layout l;
    l.properties._flags = 0;
    l.properties.headers.num_entries = 0;
    enum err err = lay_out(message, &l);
    if (err)
        return err;
    size_t header_frame = FRAME_AROUND + HEADER_FIXED + l.properties_size;
    if (header_frame > frame_max)
        return ERR_HEADERS_TOO_LARGE;
    if (message->body.len > BROKER_BODY_MAX)
        return ERR_BODY_TOO_LARGE;

    size_t publish_frame = FRAME_AROUND + l.method_size;
    size_t size = publish_frame + header_frame + body_frames_size(message->body.len, frame_max);
    struct broker_frames *frames = xmalloc(sizeof(*frames) + size);
    *frames = (struct broker_frames){
        .size = (uint32_t)size,
        .largest_frame = largest_frame(header_frame, message->body.len, frame_max),
        .message_id_at = (uint32_t)(publish_frame + FRAME_HEAD + HEADER_FIXED + l.message_id_at),
        .has_message_id = message->message_id.data != NULL,
        .mandatory = message->mandatory,
    };
    uint8_t *at = write_publish(frames->octets, message, &l);
    if (at)
        at = write_header(at, message->body.len, &l);
    if (!at) {
        free(frames);
        return ERR_INTERNAL;
    }
    write_body(at, message->body, frame_max);
    *ret_frames = frames;
    return ERR_OK;
}

static size_t frame_size(const uint8_t *frame)
{
    return FRAME_AROUND + wire_get32(frame + 3);
}

/* Rare: the server was restarted with a smaller frame_max, or another one of the cluster has a smaller
 * one. */
struct broker_frames *broker_frames_reframe(const struct broker_frames *old, size_t frame_max)
{
    size_t publish_frame = frame_size(old->octets);
    const uint8_t *header = old->octets + publish_frame;
    size_t header_frame = frame_size(header);
    if (larger(publish_frame, header_frame) > frame_max)
        return NULL;
    size_t head = publish_frame + header_frame;
    size_t body_size = wire_get64(header + FRAME_HEAD + 4);

    CLEANUP_FREE char *body = xmalloc(body_size + 1);
    size_t got = 0;
    for (const uint8_t *at = old->octets + head, *end = old->octets + old->size; at < end;
         at += frame_size(at)) {
        size_t part = frame_size(at) - FRAME_AROUND;
        memcpy(body + got, at + FRAME_HEAD, part);
        got += part;
    }

    size_t size = head + body_frames_size(body_size, frame_max);
    struct broker_frames *frames = xmalloc(sizeof(*frames) + size);
    *frames = *old;
    frames->size = (uint32_t)size;
    frames->largest_frame = largest_frame(header_frame, body_size, frame_max);
    memcpy(frames->octets, old->octets, head);
    write_body(frames->octets + head, (struct slice){body, body_size}, frame_max);
    return frames;
}

static struct slice short_string_at(const uint8_t *at)
{
    return (struct slice){(const char *)at + 1, at[0]};
}

struct slice broker_frames_exchange(const struct broker_frames *frames)
{
    return short_string_at(frames->octets + EXCHANGE_AT);
}

struct slice broker_frames_routing_key(const struct broker_frames *frames)
{
    return short_string_at(frames->octets + EXCHANGE_AT + 1 + broker_frames_exchange(frames).len);
}

struct slice broker_frames_message_id(const struct broker_frames *frames)
{
    if (!frames->has_message_id)
        return SLICE_NONE;
    return short_string_at(frames->octets + frames->message_id_at - 1);
}
