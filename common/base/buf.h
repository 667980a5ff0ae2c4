#pragma once
/* A growable buffer of bytes with a hard maximum.
 *
 * Must hold: begin <= end <= capacity <= max. Reading consumes bytes from the front and moves nothing. When
 * an append needs room, the remaining bytes move to the front of the memory first. */

#include <stdarg.h>
#include <stdint.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

struct buf {
    char *data;
    size_t begin; /* first unread byte */
    size_t end;   /* one past the last byte written */
    size_t capacity;
    size_t max;     /* bytes that the buffer may hold; growing past it fails */
    bool truncated; /* an append did not fit; a caller that builds something checks this once, at the end */
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees the memory and leaves an empty buffer with the same maximum */

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->begin;
}
static inline const char *buf_data(const struct buf *b)
{
    return b->data + b->begin;
}
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->data ? b->data + b->begin : "", b->end - b->begin};
}

/* Makes room for `size` bytes after the end and returns it. Past the maximum it returns NULL and sets
 * `truncated`. */
char *buf_reserve(struct buf *b, size_t size) MUST_CHECK;
void buf_commit(struct buf *b, size_t size); /* `size` bytes were written into what buf_reserve returned */
void buf_consume(struct buf *b, size_t size);
void buf_clear(struct buf *b); /* drops the bytes, keeps the memory, clears `truncated` */

/* Each appends everything or nothing. Past the maximum it returns false and sets `truncated`. */
bool buf_append(struct buf *b, const void *data, size_t len);
bool buf_append_slice(struct buf *b, struct slice s);
bool buf_append_text(struct buf *b, const char *text);
bool buf_append_char(struct buf *b, char c);
bool buf_append_u64(struct buf *b, uint64_t value);
bool buf_append_i64(struct buf *b, int64_t value);
bool buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends `s` as a JSON string, quotes included, with every control character, quote and backslash
 * escaped. */
bool buf_append_json_string(struct buf *b, struct slice s);
