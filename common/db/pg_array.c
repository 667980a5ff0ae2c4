#include "common/db/pg_array.h"

#include <assert.h>
#include <endian.h>

/* The binary form (array_recv of PostgreSQL), everything in network order: the number of dimensions, whether
 * there are NULLs, and the type; then, unless it is empty, its length and the index of the first element; and
 * then each element behind its length, which is -1 for NULL. */
enum { HEAD = 20, HEAD_OF_EMPTY = 12 };

static const struct {
    uint32_t oid;  /* pg_type.dat: these never change */
    uint32_t size; /* of an integer */
} types[] = {
    [PG_UUID] = {2950, 0}, [PG_BIGINT] = {20, 8},  [PG_INTEGER] = {23, 4}, [PG_SMALLINT] = {21, 2},
    [PG_TEXT] = {25, 0},   [PG_BOOLEAN] = {16, 0}, [PG_BYTEA] = {17, 0},   [PG_JSON] = {114, 0},
};

void pg_array_init(struct pg_array *array, size_t max)
{
    *array = (struct pg_array){.element = PG_AS_TEXT};
    buf_init(&array->content, max);
}

void pg_array_done(struct pg_array *array)
{
    buf_done(&array->content);
}

void pg_array_begin(struct pg_array *array, enum pg_element element)
{
    static const char head[HEAD];
    buf_clear(&array->content);
    array->element = element;
    array->count = 0;
    array->has_null = false;
    if (element != PG_AS_TEXT)
        buf_append(&array->content, head, sizeof(head)); /* pg_array_end fills it in */
}

/* ---- binary ---- */

static void put_u32(char *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
}

/* Begins an element of `size` bytes. Returns where they go; NULL: the buffer says that it is truncated. */
static char *begin_binary(struct pg_array *array, size_t size)
{
    char *at = buf_reserve(&array->content, sizeof(uint32_t) + size);
    array->count++;
    if (!at)
        return NULL;
    put_u32(at, (uint32_t)size);
    buf_commit(&array->content, sizeof(uint32_t) + size);
    return at + sizeof(uint32_t);
}

static void add_binary(struct pg_array *array, const void *data, size_t size)
{
    char *at = begin_binary(array, size);
    if (at && size > 0)
        memcpy(at, data, size);
}

static void add_binary_i64(struct pg_array *array, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    size_t size = types[array->element].size;
    assert(size > 0 && value >> (8 * size - 1) == (value < 0 ? -1 : 0));
    add_binary(array, (char *)&big + sizeof(big) - size, size);
}

static struct slice end_binary(struct pg_array *array)
{
    size_t len = buf_len(&array->content);
    char *head = array->content.data + array->content.begin;
    if (len < HEAD)
        return (struct slice){head, len}; /* truncated, which the server refuses */
    put_u32(head, array->count > 0);
    put_u32(head + 4, array->has_null);
    put_u32(head + 8, types[array->element].oid);
    put_u32(head + 12, array->count);
    put_u32(head + 16, 1);
    return (struct slice){head, array->count > 0 ? len : HEAD_OF_EMPTY};
}

/* ---- text ---- */

static void next_element(struct pg_array *array)
{
    buf_append_char(&array->content, array->count++ == 0 ? '{' : ',');
}

/* Writes the hex format of bytea, with its backslash quoted. */
static void add_bytes_as_text(struct pg_array *array, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef", opening[] = {'"', '\\', '\\', 'x'};
    next_element(array);
    char *begin = buf_reserve(&array->content, 5 + 2 * bytes.len);
    if (!begin)
        return;
    char *at = begin;
    memcpy(at, opening, sizeof(opening));
    at += sizeof(opening);
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t octet = (uint8_t)bytes.data[i];
        *at++ = digits[octet >> 4];
        *at++ = digits[octet & 15];
    }
    *at++ = '"';
    buf_commit(&array->content, (size_t)(at - begin));
}

/* Every text is quoted: inside quotes "NULL", commas and braces mean nothing. */
static void add_text_as_text(struct pg_array *array, struct slice text)
{
    next_element(array);
    char *begin = buf_reserve(&array->content, 2 * text.len + 2);
    if (!begin)
        return; /* the buffer says that it is truncated */
    char *at = begin;
    *at++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            *at++ = '\\';
        *at++ = text.data[i];
    }
    *at++ = '"';
    buf_commit(&array->content, (size_t)(at - begin));
}

/* ---- elements ---- */

void pg_array_add_uuid(struct pg_array *array, const struct uuid *uuid)
{
    if (pg_array_is_binary(array)) {
        assert(array->element == PG_UUID);
        add_binary(array, uuid->octet, sizeof(uuid->octet));
        return;
    }
    char text[UUID_TEXT_LEN + 1];
    next_element(array);
    uuid_format(uuid, text);
    buf_append(&array->content, text, UUID_TEXT_LEN);
}

void pg_array_add_i64(struct pg_array *array, int64_t value)
{
    if (pg_array_is_binary(array)) {
        add_binary_i64(array, value);
        return;
    }
    next_element(array);
    buf_append_i64(&array->content, value);
}

void pg_array_add_null(struct pg_array *array)
{
    if (!pg_array_is_binary(array)) {
        next_element(array);
        buf_append(&array->content, "NULL", 4);
        return;
    }
    char *at = begin_binary(array, 0);
    if (at)
        put_u32(at - sizeof(uint32_t), UINT32_MAX);
    array->has_null = true;
}

void pg_array_add_bool(struct pg_array *array, bool value)
{
    if (pg_array_is_binary(array)) {
        assert(array->element == PG_BOOLEAN);
        add_binary(array, &(char){value}, 1);
        return;
    }
    next_element(array);
    buf_append_char(&array->content, value ? 't' : 'f');
}

void pg_array_add_bytes(struct pg_array *array, struct slice bytes)
{
    assert(array->element == PG_AS_TEXT || array->element == PG_BYTEA);
    if (pg_array_is_binary(array))
        add_binary(array, bytes.data, bytes.len);
    else
        add_bytes_as_text(array, bytes);
}

void pg_array_add_text(struct pg_array *array, struct slice text)
{
    assert(array->element == PG_AS_TEXT || array->element == PG_TEXT || array->element == PG_JSON);
    if (!text.data)
        pg_array_add_null(array);
    else if (pg_array_is_binary(array))
        add_binary(array, text.data, text.len);
    else
        add_text_as_text(array, text);
}

struct slice pg_array_end(struct pg_array *array)
{
    if (pg_array_is_binary(array))
        return end_binary(array);
    if (buf_len(&array->content) == 0)
        buf_append_char(&array->content, '{');
    buf_append_char(&array->content, '}');
    return buf_slice(&array->content);
}
