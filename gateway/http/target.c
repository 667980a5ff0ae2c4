#include "gateway/http/target.h"

#include "common/base/authority.h"
#include "common/base/hex.h"

/* The octet that "%41" stands for, or -1. */
static int encoded_octet(struct slice text, size_t at)
{
    if (at + 2 >= text.len)
        return -1;
    int high = hex_value(text.data[at + 1]), low = hex_value(text.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_well_encoded(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '%' && encoded_octet(text, i) <= 0) /* an encoded NUL is refused, too */
            return false;
    return true;
}

/* A path with an encoded slash would name another resource to a program that decodes it before it splits it. And
 * a letter, a digit or one of "-._~" need not be encoded (RFC 3986 2.3): who encodes it, as in "/v1/%61dmin",
 * writes a path that a proxy, which compares paths as they are sent, takes for another one. */
static bool hides_something(struct slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        int octet = path.data[i] == '%' ? encoded_octet(path, i) : 0;
        if ((octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
            (octet >= '0' && octet <= '9') || (octet > 0 && strchr("-._~/\\", octet)))
            return true;
    }
    return false;
}

/* Decodes well-encoded text. In a query, "+" is a space. */
static struct slice decode(struct arena *arena, struct slice text, bool plus_is_space)
{
    char *out = arena_alloc(arena, text.len + 1);
    if (!out)
        return SLICE_NONE;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '%') {
            c = (char)encoded_octet(text, i);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return (struct slice){out, len};
}

static struct slice from(struct slice s, size_t at)
{
    return (struct slice){s.data + at, s.len - at};
}

static size_t find(struct slice s, const char *any)
{
    size_t i = 0;
    while (i < s.len && !strchr(any, s.data[i]))
        i++;
    return i;
}

static bool begins_nocase(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && strncasecmp(s.data, prefix.data, prefix.len) == 0;
}

/* "http://host:port/path" → "/path" (RFC 9112 3.2.2: a server must accept it). */
static struct slice without_authority(struct slice target)
{
    static const struct slice schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (begins_nocase(target, schemes[i])) {
            struct slice rest = from(target, schemes[i].len);
            size_t authority = find(rest, "/?");
            return authority_is_valid((struct slice){rest.data, authority}) ? from(rest, authority)
                                                                            : SLICE_NONE;
        }
    return SLICE_NONE;
}

enum err target_parse(struct arena *arena, struct slice target, struct slice *ret_path,
                      struct slice *ret_query)
{
    if (target.len == 0 || memchr(target.data, '#', target.len))
        return ERR_BAD_REQUEST;
    if (slice_is(target, "*")) {
        *ret_path = target;
        *ret_query = SLICE_NONE;
        return ERR_OK;
    }
    if (target.data[0] != '/')
        target = without_authority(target);
    if (!target.data)
        return ERR_BAD_REQUEST;

    size_t path_len = find(target, "?");
    struct slice path = {target.data, path_len};
    struct slice query = path_len < target.len ? from(target, path_len + 1) : SLICE_NONE;
    if (!is_well_encoded(path) || hides_something(path) || !is_well_encoded(query))
        return ERR_BAD_REQUEST;
    if (path.len == 0)
        path = SLICE("/");
    else if (memchr(path.data, '%', path.len))
        path = decode(arena, path, false);
    if (!path.data)
        return ERR_HEADERS_TOO_LARGE;
    *ret_path = path;
    *ret_query = query;
    return ERR_OK;
}

struct slice target_next_pair(struct slice *query)
{
    while (query->len > 0) {
        const char *end = memchr(query->data, '&', query->len);
        struct slice pair = {query->data, end ? (size_t)(end - query->data) : query->len};
        *query = from(*query, end ? pair.len + 1 : pair.len);
        if (pair.len > 0)
            return pair;
    }
    return SLICE_NONE;
}

struct slice target_pair_name(struct slice pair)
{
    return (struct slice){pair.data, find(pair, "=")};
}

struct slice target_pair_value(struct slice pair)
{
    size_t name = target_pair_name(pair).len;
    return name < pair.len ? from(pair, name + 1) : SLICE("");
}

struct slice target_decode(struct arena *arena, struct slice text)
{
    bool is_plain = find(text, "%+") == text.len;
    return is_plain ? text : decode(arena, text, true);
}

struct slice target_parameter(struct arena *arena, struct slice query, const char *name)
{
    for (struct slice pair; (pair = target_next_pair(&query)).data;) {
        struct slice raw = target_pair_name(pair), key = decode(arena, raw, true);
        if (key.data && slice_is(key, name))
            return raw.len < pair.len ? decode(arena, from(pair, raw.len + 1), true) : SLICE("");
    }
    return SLICE_NONE;
}
