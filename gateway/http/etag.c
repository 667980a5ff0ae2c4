#include "gateway/http/etag.h"

#include <stdio.h>

struct slice etag_format(int64_t version, char text[ETAG_SIZE])
{
    int len = snprintf(text, ETAG_SIZE, "\"%lld\"", (long long)version);
    return (struct slice){text, (size_t)len};
}

static struct slice skip(struct slice s, size_t count)
{
    return (struct slice){s.data + count, s.len - count};
}

static struct slice skip_separators(struct slice s)
{
    while (s.len > 0 && (*s.data == ' ' || *s.data == '\t' || *s.data == ','))
        s = skip(s, 1);
    return s;
}

bool etag_is_named(struct slice list, struct slice etag)
{
    if (slice_is(list, "*"))
        return true;
    for (list = skip_separators(list); list.len > 0; list = skip_separators(list)) {
        if (list.len > 2 && memcmp(list.data, "W/", 2) == 0)
            list = skip(list, 2);
        const char *end = list.data[0] == '"' ? memchr(list.data + 1, '"', list.len - 1) : NULL;
        if (!end)
            return false;
        size_t len = (size_t)(end - list.data) + 1;
        if (slice_equal((struct slice){list.data, len}, etag))
            return true;
        list = skip(list, len);
    }
    return false;
}
