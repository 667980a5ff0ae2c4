#include "common/db/pg_array.h"

void pg_array_init(struct pg_array *array, size_t max)
{
    buf_init(&array->text, max);
}

void pg_array_done(struct pg_array *array)
{
    buf_done(&array->text);
}

void pg_array_clear(struct pg_array *array)
{
    buf_clear(&array->text);
}

static void next_element(struct pg_array *array)
{
    buf_append_char(&array->text, buf_len(&array->text) == 0 ? '{' : ',');
}

void pg_array_add_uuid(struct pg_array *array, const struct uuid *uuid)
{
    char text[UUID_TEXT_LEN + 1];
    next_element(array);
    uuid_format(uuid, text);
    buf_append(&array->text, text, UUID_TEXT_LEN);
}

void pg_array_add_i64(struct pg_array *array, int64_t value)
{
    next_element(array);
    buf_append_i64(&array->text, value);
}

void pg_array_add_null(struct pg_array *array)
{
    next_element(array);
    buf_append(&array->text, "NULL", 4);
}

void pg_array_add_bool(struct pg_array *array, bool value)
{
    next_element(array);
    buf_append_char(&array->text, value ? 't' : 'f');
}

/* Writes the hex format of bytea, with its backslash quoted. */
void pg_array_add_bytes(struct pg_array *array, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef", opening[] = {'"', '\\', '\\', 'x'};
    next_element(array);
    char *begin = buf_reserve(&array->text, 5 + 2 * bytes.len);
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
    buf_commit(&array->text, (size_t)(at - begin));
}

/* Every text is quoted: inside quotes "NULL", commas and braces mean nothing. */
void pg_array_add_text(struct pg_array *array, struct slice text)
{
    if (!text.data) {
        pg_array_add_null(array);
        return;
    }
    next_element(array);
    char *begin = buf_reserve(&array->text, 2 * text.len + 2);
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
    buf_commit(&array->text, (size_t)(at - begin));
}

struct slice pg_array_end(struct pg_array *array)
{
    if (buf_len(&array->text) == 0)
        buf_append_char(&array->text, '{');
    buf_append_char(&array->text, '}');
    return buf_slice(&array->text);
}
