#include "gateway/resources/cursor.h"

#include <assert.h>

#include "common/base/base64url.h"
#include "common/base/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const int64_t YEAR_10000_US = INT64_C(253402300800000000);

enum { NUMBER = 8, ID = sizeof(struct uuid), PLAIN = NUMBER + ID, HEAD = 1 + NUMBER + ID };

static size_t put_number(char *at, uint64_t number)
{
    for (size_t i = 0; i < NUMBER; i++)
        at[i] = (char)(number >> (56 - 8 * i));
    return NUMBER;
}

static uint64_t number_at(const char *octets)
{
    uint64_t number = 0;
    for (size_t i = 0; i < NUMBER; i++)
        number = number << 8 | (uint8_t)octets[i];
    return number;
}

static size_t put_id(char *at, const struct uuid *id)
{
    memcpy(at, id->octet, ID);
    return ID;
}

static size_t put_value(char *at, const struct cursor *cursor)
{
    if (cursor->kind == CURSOR_TIME)
        return put_number(at, (uint64_t)cursor->created_us);
    if (cursor->kind == CURSOR_NULL)
        return 0;
    assert(cursor->text.len <= CURSOR_VALUE_MAX);
    memcpy(at, cursor->text.data, cursor->text.len);
    return cursor->text.len;
}

/* base64url, which has no padding. This allocates nothing. */
static void encode(const char *octets, size_t len, char *text)
{
    size_t at = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t here = len - i < 3 ? len - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < here ? (uint8_t)octets[i + k] : 0);
        for (size_t k = 0; k <= here; k++)
            text[at++] = alphabet[bits >> (18 - 6 * k) & 63];
    }
    text[at] = '\0';
}

void cursor_format(const struct cursor *cursor, char text[CURSOR_SIZE])
{
    char octets[CURSOR_OCTETS_MAX];
    size_t len = 0;
    if (!cursor->has_digest) {
        len += put_value(octets, cursor);
        len += put_id(octets + len, &cursor->id);
    } else {
        octets[len++] = (char)cursor->kind;
        len += put_number(octets + len, cursor->digest);
        len += put_id(octets + len, &cursor->id);
        len += put_value(octets + len, cursor);
    }
    encode(octets, len, text);
}

static bool read_time(const char *octets, struct cursor *cursor)
{
    uint64_t us = number_at(octets);
    cursor->kind = CURSOR_TIME;
    cursor->created_us = (int64_t)us;
    return us < (uint64_t)YEAR_10000_US;
}

static bool read_value(const char *value, size_t len, struct cursor *cursor)
{
    switch (cursor->kind) {
    case CURSOR_TIME:
        return len == NUMBER && read_time(value, cursor);
    case CURSOR_TEXT:
        cursor->text = (struct slice){value, len};
        return !memchr(value, '\0', len) && utf8_valid(cursor->text);
    case CURSOR_NULL:
        return len == 0;
    }
    return false; /* no such kind */
}

enum err cursor_parse(struct slice text, char octets[CURSOR_OCTETS_MAX], struct cursor *ret_cursor)
{
    struct cursor cursor = {.has_digest = text.len != CURSOR_LEN};
    size_t len, id_at = cursor.has_digest ? 1 + NUMBER : NUMBER;
    bool is_right =
        base64url_decode(text, octets, CURSOR_OCTETS_MAX, &len) && len >= (cursor.has_digest ? HEAD : PLAIN);
    if (is_right && cursor.has_digest) {
        cursor.kind = (enum cursor_kind)(uint8_t)octets[0];
        cursor.digest = number_at(octets + 1);
        is_right = read_value(octets + HEAD, len - HEAD, &cursor);
    } else if (is_right) {
        is_right = read_time(octets, &cursor);
    }
    if (!is_right)
        return ERR_BAD_REQUEST;
    memcpy(cursor.id.octet, octets + id_at, ID);
    *ret_cursor = cursor;
    return ERR_OK;
}
