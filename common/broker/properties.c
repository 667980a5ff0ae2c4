#include "common/broker/private.h"

/* Reads basic properties straight from the wire. amqp_decode_properties would build every nested table, and
 * in librabbitmq 0.11 a table that nests too deep overflows the stack. Here headers that nobody reads are
 * skipped by their length. */

struct reader {
    const char *at, *end;
    bool bad;
};

static const char *take(struct reader *r, size_t size)
{
    if (r->bad || (size_t)(r->end - r->at) < size) {
        r->bad = true;
        return NULL;
    }
    const char *at = r->at;
    r->at += size;
    return at;
}

static uint64_t take_number(struct reader *r, size_t size)
{
    const char *at = take(r, size);
    uint64_t value = 0;
    for (size_t i = 0; at && i < size; i++)
        value = value << 8 | (uint8_t)at[i];
    return value;
}

static struct slice take_string(struct reader *r, size_t length_size)
{
    size_t len = (size_t)take_number(r, length_size);
    const char *at = take(r, len);
    return at ? (struct slice){at, len} : SLICE_NONE;
}

/* For each kind of value: the octets of the value, or of the length before it. */
static const struct value_kind {
    uint8_t octets;
    enum { VALUE_NONE, VALUE_SKIP, VALUE_SIGNED, VALUE_UNSIGNED, VALUE_TEXT, VALUE_SKIP_COUNTED } reading;
} kinds[256] = {
    ['t'] = {1, VALUE_UNSIGNED},     ['b'] = {1, VALUE_SIGNED},       ['B'] = {1, VALUE_UNSIGNED},
    ['s'] = {2, VALUE_SIGNED},       ['u'] = {2, VALUE_UNSIGNED},     ['I'] = {4, VALUE_SIGNED},
    ['i'] = {4, VALUE_UNSIGNED},     ['l'] = {8, VALUE_SIGNED},       ['L'] = {8, VALUE_UNSIGNED},
    ['T'] = {8, VALUE_UNSIGNED},     ['f'] = {4, VALUE_SKIP},         ['d'] = {8, VALUE_SKIP},
    ['D'] = {5, VALUE_SKIP},         ['V'] = {0, VALUE_SKIP},         ['S'] = {4, VALUE_TEXT},
    ['x'] = {4, VALUE_SKIP_COUNTED}, ['A'] = {4, VALUE_SKIP_COUNTED}, ['F'] = {4, VALUE_SKIP_COUNTED},
};

static int64_t take_signed(struct reader *r, size_t size)
{
    unsigned unused = (unsigned)(64 - 8 * size);
    return (int64_t)(take_number(r, size) << unused) >> unused;
}

/* Returns true when the value is of a kind that callers get to see. */
static bool take_value(struct reader *r, struct broker_header *header)
{
    const struct value_kind *kind = &kinds[take_number(r, 1)];
    switch (kind->reading) {
    case VALUE_SIGNED:
        header->is_integer = true;
        header->integer = take_signed(r, kind->octets);
        return true;
    case VALUE_UNSIGNED:
        header->is_integer = true;
        header->integer = (int64_t)take_number(r, kind->octets);
        return true;
    case VALUE_TEXT:
        header->text = take_string(r, kind->octets);
        return true;
    case VALUE_SKIP:
        (void)take(r, kind->octets);
        return false;
    case VALUE_SKIP_COUNTED:
        (void)take_string(r, kind->octets);
        return false;
    case VALUE_NONE:
        break;
    }
    r->bad = true;
    return false;
}

static void take_headers(struct reader *r, struct broker_header headers[BROKER_HEADERS_MAX],
                         struct broker_delivery *delivery)
{
    struct slice table = take_string(r, 4);
    struct reader inner = {table.data, table.data + table.len, r->bad};
    while (!inner.bad && inner.at < inner.end) {
        struct broker_header header = {.name = take_string(&inner, 1)};
        if (!take_value(&inner, &header))
            continue;
        if (header.is_integer && slice_is(header.name, "x-delivery-count"))
            delivery->delivery_count = header.integer;
        else if (delivery->header_count < BROKER_HEADERS_MAX)
            headers[delivery->header_count++] = header;
    }
    r->bad = inner.bad;
}

/* The fields are in the order of the wire: bit 15 of the flags first (AMQP 0-9-1, 4.2.6.1 and the list of the
 * basic class). */
bool broker_properties_read(struct slice raw, struct broker_header headers[BROKER_HEADERS_MAX],
                            struct broker_delivery *d)
{
    struct reader r = {raw.data, raw.data + raw.len, false};
    struct slice ignored;
    uint16_t flags = (uint16_t)take_number(&r, 2);
    d->headers = headers;
    d->header_count = 0;
    if (flags & 1)
        return false; /* bit 0 announces more flags than the class has properties */
    const struct {
        amqp_flags_t flag;
        struct slice *text;
        size_t octets;
    } fields[] = {
        {AMQP_BASIC_CONTENT_TYPE_FLAG, &d->content_type, 0},
        {AMQP_BASIC_CONTENT_ENCODING_FLAG, &ignored, 0},
        {AMQP_BASIC_HEADERS_FLAG, NULL, 0},
        {AMQP_BASIC_DELIVERY_MODE_FLAG, NULL, 1},
        {AMQP_BASIC_PRIORITY_FLAG, NULL, 1},
        {AMQP_BASIC_CORRELATION_ID_FLAG, &d->correlation_id, 0},
        {AMQP_BASIC_REPLY_TO_FLAG, &d->reply_to, 0},
        {AMQP_BASIC_EXPIRATION_FLAG, &ignored, 0},
        {AMQP_BASIC_MESSAGE_ID_FLAG, &d->message_id, 0},
        {AMQP_BASIC_TIMESTAMP_FLAG, NULL, 8},
        {AMQP_BASIC_TYPE_FLAG, &d->type, 0},
        {AMQP_BASIC_USER_ID_FLAG, &ignored, 0},
        {AMQP_BASIC_APP_ID_FLAG, &ignored, 0},
        {AMQP_BASIC_CLUSTER_ID_FLAG, &ignored, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!(flags & fields[i].flag))
            continue;
        if (fields[i].text)
            *fields[i].text = take_string(&r, 1);
        else if (fields[i].octets == 8)
            d->timestamp = (int64_t)take_number(&r, 8);
        else if (fields[i].octets)
            (void)take(&r, fields[i].octets);
        else
            take_headers(&r, headers, d);
    }
    return !r.bad;
}

const struct broker_header *broker_delivery_header(const struct broker_delivery *delivery, const char *name)
{
    struct slice wanted = slice_of(name);
    for (size_t i = 0; i < delivery->header_count; i++)
        if (slice_equal(delivery->headers[i].name, wanted))
            return &delivery->headers[i];
    return NULL;
}
