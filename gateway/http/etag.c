#include "gateway/http/etag.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/msg/msg.h"

struct slice etag_format(int64_t version, char text[ETAG_SIZE])
{
    int len = snprintf(text, ETAG_SIZE, "\"%lld\"", (long long)version);
    return (struct slice){text, (size_t)len};
}

struct slice etag_of_content(struct slice content, char text[ETAG_SIZE])
{
    int len = snprintf(text, ETAG_SIZE, "\"%016" PRIx64 "\"", msg_fingerprint(&content, 1));
    return (struct slice){text, (size_t)len};
}

bool etag_read_version(struct slice inside, int64_t *ret_version)
{
    int64_t version = 0;
    if (inside.len == 0 || inside.len > 18 || inside.data[0] == '0')
        return false;
    for (size_t i = 0; i < inside.len; i++) {
        if (inside.data[i] < '0' || inside.data[i] > '9')
            return false;
        version = version * 10 + (inside.data[i] - '0');
    }
    *ret_version = version;
    return true;
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

struct slice etag_next(struct slice *list, bool *ret_is_weak)
{
    struct slice rest = skip_separators(*list);
    *ret_is_weak = rest.len > 2 && memcmp(rest.data, "W/", 2) == 0;
    if (*ret_is_weak)
        rest = skip(rest, 2);
    const char *end = rest.len > 1 && rest.data[0] == '"' ? memchr(rest.data + 1, '"', rest.len - 1) : NULL;
    if (!end) {
        *list = rest;
        return SLICE_NONE;
    }
    struct slice tag = {rest.data, (size_t)(end - rest.data) + 1};
    *list = skip(rest, tag.len);
    return tag;
}

static bool has(struct slice list, struct slice etag, bool weak_counts)
{
    bool is_weak;
    if (slice_is(list, "*"))
        return true;
    for (struct slice tag; (tag = etag_next(&list, &is_weak)).data;)
        if (slice_equal(tag, etag) && (weak_counts || !is_weak))
            return true;
    return false;
}

bool etag_is_named(struct slice list, struct slice etag)
{
    return has(list, etag, true);
}

bool etag_is_matched(struct slice list, struct slice etag)
{
    return has(list, etag, false);
}
