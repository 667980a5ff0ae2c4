#include "common/base/buf.h"

#include <assert.h>
#include <stdio.h>

enum { FIRST_CAPACITY = 256 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

static void move_to_front(struct buf *b)
{
    if (b->begin == 0)
        return;
    memmove(b->data, b->data + b->begin, buf_len(b));
    b->end -= b->begin;
    b->begin = 0;
}

static void grow(struct buf *b, size_t needed)
{
    size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > b->max)
        capacity = b->max;
    b->data = xrealloc(b->data, capacity);
    b->capacity = capacity;
}

char *buf_reserve(struct buf *b, size_t size)
{
    if (size > b->max || buf_len(b) > b->max - size) {
        b->truncated = true;
        return NULL;
    }
    if (b->capacity - b->end < size) {
        move_to_front(b);
        if (b->capacity - b->end < size)
            grow(b, b->end + size);
    }
    return b->data + b->end;
}

void buf_commit(struct buf *b, size_t size)
{
    assert(size <= b->capacity - b->end);
    b->end += size;
}

void buf_consume(struct buf *b, size_t size)
{
    assert(size <= buf_len(b));
    b->begin += size;
    if (b->begin == b->end)
        b->begin = b->end = 0;
}

void buf_clear(struct buf *b)
{
    b->begin = b->end = 0;
    b->truncated = false;
}

bool buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return true;
    char *space = buf_reserve(b, len);
    if (!space)
        return false;
    memcpy(space, data, len);
    b->end += len;
    return true;
}

bool buf_append_slice(struct buf *b, struct slice s)
{
    return buf_append(b, s.data, s.len);
}

bool buf_append_text(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

bool buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

bool buf_append_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return buf_append(b, digits + at, sizeof(digits) - at);
}

bool buf_append_i64(struct buf *b, int64_t value)
{
    if (value >= 0)
        return buf_append_u64(b, (uint64_t)value);
    char *space = buf_reserve(b, 21); /* sign and digits together, or nothing */
    if (!space)
        return false;
    return buf_append_char(b, '-') && buf_append_u64(b, 0 - (uint64_t)value);
}

bool buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* vsnprintf needs room for a NUL, which it writes and we do not keep. */
    size_t max = b->max;
    b->max = max + 1;
    char *space = len >= 0 && (size_t)len + buf_len(b) <= max ? buf_reserve(b, (size_t)len + 1) : NULL;
    b->max = max;
    if (space) {
        vsnprintf(space, (size_t)len + 1, format, again);
        b->end += (size_t)len;
    } else {
        b->truncated = true;
    }
    va_end(again);
    return space != NULL;
}

/* For each octet: 0 as it is, 'u' as \u00XX, otherwise the letter after the backslash (RFC 8259 section 7).
 */
static const char escapes[256] = {
    ['\b'] = 'b',  ['\t'] = 't',    ['\n'] = 'n', ['\f'] = 'f',      ['\r'] = 'r', ['"'] = '"',
    ['\\'] = '\\', [0 ... 7] = 'u', [11] = 'u',   [14 ... 31] = 'u', [127] = 'u',
};

bool buf_append_json_string(struct buf *b, struct slice s)
{
    static const char hex[] = "0123456789abcdef";
    size_t begin = b->begin, end = b->end;
    bool ok = buf_append_char(b, '"');
    size_t from = 0;
    for (size_t i = 0; ok && i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        char escape = escapes[c];
        if (!escape)
            continue;
        ok = buf_append(b, s.data + from, i - from);
        from = i + 1;
        char text[6] = {'\\', escape, '0', '0', hex[c >> 4], hex[c & 15]};
        ok = ok && buf_append(b, text, escape == 'u' ? 6 : 2);
    }
    ok = ok && buf_append(b, s.data + from, s.len - from) && buf_append_char(b, '"');
    if (!ok) { /* everything or nothing; the bytes before it may have moved to the front meanwhile */
        b->end = b->begin + (end - begin);
    }
    return ok;
}
