#pragma once
/* A borrowed run of bytes. A slice owns nothing, and has a NUL behind it only where its maker says so. */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "common/base/macros.h"

struct slice {
    const char *data; /* NULL means absent (SQL NULL, header not sent); "" of length 0 means empty */
    size_t len;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_NONE     ((struct slice){NULL, 0})

static inline struct slice slice_of(const char *text)
{
    return text ? (struct slice){text, strlen(text)} : SLICE_NONE;
}

/* A copy with a NUL behind it; for free(). */
static inline char *slice_dup(struct slice s)
{
    char *text = xmalloc(s.len + 1);
    if (s.len > 0)
        memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    return text;
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
    return slice_equal(a, slice_of(text));
}

static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}
