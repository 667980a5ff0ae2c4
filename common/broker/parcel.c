#include "common/broker/parcel.h"

#include <endian.h>

#include "common/broker/topology.h"

enum form {
    FORM_NIL = 0xc0,
    FORM_SHORT_BINARY = 0xc4,
    FORM_BINARY = 0xc6,
    FORM_INTEGER = 0xd3,
    FORM_TEXT = 0xd9,
    FORM_ARRAY = 0xdc,
};

enum { FIELDS = 15, SHORT_MAX = 255, ENTRY_HEAD = 5 };

#define CONTENT_TYPE "application/vnd.cortex.parcel"

/* ---- writing ---- */

/* What does not fit sets buf.truncated, which parcel_add looks at in the end. */
static void put(struct buf *out, enum form form, const void *data, size_t len)
{
    buf_append_char(out, (char)form);
    buf_append(out, data, len);
}

static void put_short(struct buf *out, enum form form, struct slice s)
{
    buf_append_char(out, (char)form);
    buf_append_char(out, (char)s.len);
    buf_append_slice(out, s);
}

static void put_text(struct buf *out, struct slice text)
{
    if (text.len > 0)
        put_short(out, FORM_TEXT, text);
    else
        buf_append_char(out, (char)FORM_NIL);
}

static void put_uuid(struct buf *out, const struct uuid *uuid, bool is_there)
{
    if (is_there)
        put_short(out, FORM_SHORT_BINARY, (struct slice){(const char *)uuid->octet, sizeof(uuid->octet)});
    else
        buf_append_char(out, (char)FORM_NIL);
}

static void put_integer(struct buf *out, int64_t integer)
{
    uint64_t octets = htobe64((uint64_t)integer);
    put(out, FORM_INTEGER, &octets, sizeof(octets));
}

static void put_length(struct buf *out, size_t len)
{
    uint32_t octets = htobe32((uint32_t)len);
    put(out, FORM_BINARY, &octets, sizeof(octets));
}

static void put_array(char head[PARCEL_HEAD_SIZE], size_t count)
{
    head[0] = (char)FORM_ARRAY;
    head[1] = (char)(count >> 8);
    head[2] = (char)count;
}

static void put_fields(struct buf *out, const struct envelope *e)
{
    char head[PARCEL_HEAD_SIZE];
    put_array(head, FIELDS);
    buf_append(out, head, sizeof(head));
    put_uuid(out, &e->id, true);
    put_uuid(out, &e->company, true);
    put_text(out, e->type);
    put_text(out, e->correlation_id);
    put_text(out, e->reply_to);
    put_length(out, e->body.len);
    buf_append_slice(out, e->body);
    put_uuid(out, &e->actor, true);
    put_text(out, e->role);
    put_uuid(out, &e->subject, e->has_subject);
    put_uuid(out, &e->parent, e->has_parent);
    put_integer(out, e->if_match);
    put_integer(out, (int64_t)e->fingerprint);
    put_integer(out, e->timestamp);
    put_integer(out, e->not_before);
    put_text(out, e->traceparent);
}

/* As of a single command, whose key has the type in it. */
static bool is_writable(const struct envelope *e)
{
    return e->type.len > 0 && e->type.len < ENVELOPE_KEY_MAX && e->role.len > 0 &&
           e->role.len <= ENVELOPE_ROLE_MAX && e->correlation_id.len <= SHORT_MAX &&
           e->reply_to.len <= SHORT_MAX && e->traceparent.len <= SHORT_MAX && e->body.len <= BROKER_BODY_MAX;
}

enum err parcel_add(struct buf *entries, const struct envelope *envelope)
{
    size_t before = buf_len(entries);
    if (!is_writable(envelope))
        return ERR_BAD_REQUEST;
    put_length(entries, 0);
    put_fields(entries, envelope);
    if (entries->truncated) {
        entries->end = entries->begin + before;
        entries->truncated = false;
        return ERR_BODY_TOO_LARGE;
    }
    uint32_t len = htobe32((uint32_t)(buf_len(entries) - before - ENTRY_HEAD));
    memcpy(entries->data + entries->begin + before + 1, &len, sizeof(len));
    return ERR_OK;
}

void parcel_write_head(char head[PARCEL_HEAD_SIZE], size_t count)
{
    put_array(head, count);
}

enum err parcel_write(struct slice body, const char *pool, unsigned partition,
                      struct envelope_scratch *scratch, struct broker_message *ret_message)
{
    struct uuid id = uuid_v7();
    char *key = scratch->text[0], *id_text = scratch->text[1];
    size_t key_len = topology_command_key(pool, partition, SLICE("parcel"), key, ENVELOPE_KEY_MAX);
    if (key_len == 0)
        return ERR_BAD_REQUEST;
    uuid_format(&id, id_text);
    *ret_message = (struct broker_message){
        .exchange = SLICE(EXCHANGE_COMMANDS),
        .routing_key = {key, key_len},
        .content_type = SLICE(CONTENT_TYPE),
        .message_id = {id_text, UUID_TEXT_LEN},
        .type = SLICE("parcel"),
        .persistent = true,
        .mandatory = true,
        .body = body,
    };
    return ERR_OK;
}

/* ---- reading ---- */

struct reader {
    struct slice rest;
    bool poison;
};

static struct slice take(struct reader *r, size_t len)
{
    if (r->poison || len > r->rest.len) {
        r->poison = true;
        return SLICE_NONE;
    }
    struct slice taken = {r->rest.data, len};
    r->rest.data += len;
    r->rest.len -= len;
    return taken;
}

/* Big-endian, of up to eight octets. */
static uint64_t take_number(struct reader *r, size_t size)
{
    struct slice octets = take(r, size);
    uint64_t number = 0;
    for (size_t i = 0; i < octets.len; i++)
        number = number << 8 | (uint8_t)octets.data[i];
    return number;
}

static void expect(struct reader *r, enum form form)
{
    if (take_number(r, 1) != form)
        r->poison = true;
}

static bool take_nil(struct reader *r)
{
    if (r->poison || r->rest.len == 0 || (uint8_t)r->rest.data[0] != FORM_NIL)
        return false;
    take(r, 1);
    return true;
}

static struct slice take_binary(struct reader *r)
{
    expect(r, FORM_BINARY);
    return take(r, take_number(r, 4));
}

static struct slice take_text(struct reader *r)
{
    if (take_nil(r))
        return SLICE_NONE;
    expect(r, FORM_TEXT);
    struct slice text = take(r, take_number(r, 1));
    if (text.len == 0)
        r->poison = true; /* an absent text is nil */
    return text;
}

static bool take_uuid(struct reader *r, struct uuid *ret_uuid)
{
    if (take_nil(r))
        return false;
    expect(r, FORM_SHORT_BINARY);
    struct slice octets = take(r, take_number(r, 1));
    if (octets.len != sizeof(*ret_uuid)) {
        r->poison = true;
        return false;
    }
    memcpy(ret_uuid->octet, octets.data, sizeof(ret_uuid->octet));
    return true;
}

static int64_t take_integer(struct reader *r)
{
    expect(r, FORM_INTEGER);
    return (int64_t)take_number(r, 8);
}

static int64_t take_natural(struct reader *r)
{
    int64_t integer = take_integer(r);
    if (integer < 0)
        r->poison = true;
    return integer;
}

static void require(struct reader *r, bool is_there)
{
    if (!is_there)
        r->poison = true;
}

static void skip_field(struct reader *r)
{
    uint64_t form = take_number(r, 1);
    if (form == FORM_INTEGER)
        take(r, 8);
    else if (form == FORM_SHORT_BINARY || form == FORM_TEXT)
        take(r, take_number(r, 1));
    else if (form == FORM_BINARY)
        take(r, take_number(r, 4));
    else
        require(r, form == FORM_NIL);
}

static size_t take_array(struct reader *r)
{
    expect(r, FORM_ARRAY);
    return take_number(r, 2);
}

bool parcel_is(const struct broker_delivery *delivery)
{
    return slice_is(delivery->content_type, CONTENT_TYPE);
}

enum err parcel_open(struct slice body, struct parcel *ret_parcel)
{
    struct reader r = {.rest = body};
    size_t count = take_array(&r);
    struct parcel parcel = {.rest = r.rest, .count = count};
    require(&r, count > 0 && count <= PARCEL_COMMANDS_MAX);
    for (size_t i = 0; i < count && !r.poison; i++)
        take_binary(&r);
    if (r.poison || r.rest.len > 0)
        return ERR_POISON;
    *ret_parcel = parcel;
    return ERR_OK;
}

struct slice parcel_take(struct parcel *parcel)
{
    struct reader r = {.rest = parcel->rest};
    struct slice entry = take_binary(&r);
    parcel->rest = r.rest;
    parcel->count--;
    return entry;
}

/* Returns how many fields the entry has. */
static size_t take_address(struct reader *r, struct envelope *e)
{
    size_t fields = take_array(r);
    require(r, take_uuid(r, &e->id));
    require(r, take_uuid(r, &e->company));
    return fields;
}

static void take_replying(struct reader *r, struct envelope *e)
{
    e->type = take_text(r);
    e->correlation_id = take_text(r);
    e->reply_to = take_text(r);
    e->body = take_binary(r);
}

enum err parcel_read_entry(struct slice entry, struct envelope *ret_envelope)
{
    struct reader r = {.rest = entry};
    struct envelope e = {0};
    size_t fields = take_address(&r, &e);
    take_replying(&r, &e);
    require(&r, take_uuid(&r, &e.actor));
    e.role = take_text(&r);
    e.has_subject = take_uuid(&r, &e.subject);
    e.has_parent = take_uuid(&r, &e.parent);
    e.if_match = take_natural(&r);
    e.fingerprint = (uint64_t)take_integer(&r);
    e.timestamp = take_integer(&r);
    e.not_before = take_natural(&r);
    e.traceparent = take_text(&r);
    for (size_t i = FIELDS; i < fields && !r.poison; i++)
        skip_field(&r);
    require(&r, fields >= FIELDS && r.rest.len == 0 && is_writable(&e));
    if (r.poison)
        return ERR_POISON;
    *ret_envelope = e;
    return ERR_OK;
}

bool parcel_read_address(struct slice entry, struct envelope *ret_envelope)
{
    struct reader r = {.rest = entry};
    struct envelope e = {0};
    take_address(&r, &e);
    bool has_address = !r.poison;
    take_replying(&r, &e);
    if (r.poison)
        e.type = e.correlation_id = e.reply_to = e.body = SLICE_NONE;
    *ret_envelope = e;
    if (!e.body.data)
        ret_envelope->body = entry; /* an operator sees what came */
    return has_address;
}
