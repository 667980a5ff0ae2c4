#include "common/broker/parcel_form.h"

#include <endian.h>

enum form {
    FORM_NIL = 0xc0,
    FORM_SHORT_BINARY = 0xc4,
    FORM_BINARY = 0xc6,
    FORM_INTEGER = 0xd3,
    FORM_TEXT = 0xd9,
    FORM_ARRAY = 0xdc,
};

/* ---- writing ---- */

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

void form_put_text(struct buf *out, struct slice text)
{
    if (text.len > 0)
        put_short(out, FORM_TEXT, text);
    else
        buf_append_char(out, (char)FORM_NIL);
}

void form_put_uuid(struct buf *out, const struct uuid *uuid, bool is_there)
{
    if (is_there)
        put_short(out, FORM_SHORT_BINARY, (struct slice){(const char *)uuid->octet, sizeof(uuid->octet)});
    else
        buf_append_char(out, (char)FORM_NIL);
}

void form_put_integer(struct buf *out, int64_t integer)
{
    uint64_t octets = htobe64((uint64_t)integer);
    put(out, FORM_INTEGER, &octets, sizeof(octets));
}

void form_put_length(struct buf *out, size_t len)
{
    uint32_t octets = htobe32((uint32_t)len);
    put(out, FORM_BINARY, &octets, sizeof(octets));
}

void form_write_array(char head[FORM_ARRAY_SIZE], size_t count)
{
    head[0] = (char)FORM_ARRAY;
    head[1] = (char)(count >> 8);
    head[2] = (char)count;
}

void form_put_array(struct buf *out, size_t count)
{
    char head[FORM_ARRAY_SIZE];
    form_write_array(head, count);
    buf_append(out, head, sizeof(head));
}

void form_put_binary(struct buf *out, struct slice binary)
{
    form_put_length(out, binary.len);
    buf_append_slice(out, binary);
}

enum err form_end_entry(struct buf *out, size_t entry_at)
{
    if (out->truncated) {
        out->end = out->begin + entry_at;
        out->truncated = false;
        return ERR_BODY_TOO_LARGE;
    }
    uint32_t len = htobe32((uint32_t)(buf_len(out) - entry_at - FORM_LENGTH_SIZE));
    memcpy(out->data + out->begin + entry_at + 1, &len, sizeof(len));
    return ERR_OK;
}

/* ---- reading ---- */

static struct slice take(struct form_reader *r, size_t len)
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
static uint64_t take_number(struct form_reader *r, size_t size)
{
    struct slice octets = take(r, size);
    uint64_t number = 0;
    for (size_t i = 0; i < octets.len; i++)
        number = number << 8 | (uint8_t)octets.data[i];
    return number;
}

static void expect(struct form_reader *r, enum form form)
{
    if (take_number(r, 1) != form)
        r->poison = true;
}

static bool take_nil(struct form_reader *r)
{
    if (r->poison || r->rest.len == 0 || (uint8_t)r->rest.data[0] != FORM_NIL)
        return false;
    take(r, 1);
    return true;
}

struct slice form_take_binary(struct form_reader *r)
{
    expect(r, FORM_BINARY);
    return take(r, take_number(r, 4));
}

struct slice form_take_text(struct form_reader *r)
{
    if (take_nil(r))
        return SLICE_NONE;
    expect(r, FORM_TEXT);
    struct slice text = take(r, take_number(r, 1));
    if (text.len == 0)
        r->poison = true; /* an absent text is nil */
    return text;
}

bool form_take_uuid(struct form_reader *r, struct uuid *ret_uuid)
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

int64_t form_take_integer(struct form_reader *r)
{
    expect(r, FORM_INTEGER);
    return (int64_t)take_number(r, 8);
}

int64_t form_take_natural(struct form_reader *r)
{
    int64_t integer = form_take_integer(r);
    if (integer < 0)
        r->poison = true;
    return integer;
}

void form_require(struct form_reader *r, bool is_there)
{
    if (!is_there)
        r->poison = true;
}

static void skip_field(struct form_reader *r)
{
    uint64_t form = take_number(r, 1);
    if (form == FORM_INTEGER)
        take(r, 8);
    else if (form == FORM_SHORT_BINARY || form == FORM_TEXT)
        take(r, take_number(r, 1));
    else if (form == FORM_BINARY)
        take(r, take_number(r, 4));
    else
        form_require(r, form == FORM_NIL);
}

size_t form_take_array(struct form_reader *r)
{
    expect(r, FORM_ARRAY);
    return take_number(r, 2);
}

void form_skip_fields(struct form_reader *r, size_t count)
{
    for (size_t i = 0; i < count && !r->poison; i++)
        skip_field(r);
}
