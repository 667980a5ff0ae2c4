#include "common/base/origin.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/authority.h"
#include "common/base/macros.h"

/* The ports of the schemes that have one (Fetch standard, URL standard 4.2). */
static const struct {
    const char *scheme, *port;
} default_ports[] = {{"http", "80"}, {"https", "443"}, {"ws", "80"}, {"wss", "443"}, {"ftp", "21"}};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_scheme(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = lower(text.data[i]);
        bool is_letter = c >= 'a' && c <= 'z';
        if (!is_letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return text.len > 0 && text.len <= 32;
}

/* The characters of a name as a browser sends it: no "*", which means nothing here, and no "%". */
static bool is_host(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = lower(text.data[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._[]:", c)))
            return false;
    }
    return text.len > 0;
}

static bool is_default_port(struct slice scheme, const char *port)
{
    for (size_t i = 0; i < ARRAY_LEN(default_ports); i++)
        if (slice_is(scheme, default_ports[i].scheme) && strcmp(port, default_ports[i].port) == 0)
            return true;
    return false;
}

static void put_lower(char *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        out[i] = lower(text.data[i]);
    out[text.len] = '\0';
}

/* "[0:0::1]" is "[::1]" */
static void shorten_ipv6(char host[ORIGIN_SIZE])
{
    struct in6_addr address;
    char inside[ORIGIN_SIZE];
    size_t len = strlen(host);
    if (host[0] != '[')
        return;
    memcpy(inside, host + 1, len - 2);
    inside[len - 2] = '\0';
    if (inet_pton(AF_INET6, inside, &address) == 1 &&
        inet_ntop(AF_INET6, &address, host + 1, INET6_ADDRSTRLEN))
        strcat(host, "]");
}

struct slice origin_normalize(struct slice text, char out[ORIGIN_SIZE])
{
    char host[ORIGIN_SIZE], port[8] = "", scheme[40];
    if (slice_is(text, "null")) {
        memcpy(out, "null", 5);
        return (struct slice){out, 4};
    }
    const char *mark = text.len > 3 ? memmem(text.data, text.len, "://", 3) : NULL;
    size_t scheme_len = mark ? (size_t)(mark - text.data) : 0;
    if (!is_scheme((struct slice){text.data, scheme_len}))
        return SLICE_NONE;
    struct slice rest = {mark + 3, text.len - scheme_len - 3};
    if (rest.len > 0 && rest.data[rest.len - 1] == '/')
        rest.len--;
    if (rest.len > 255 || !authority_is_valid(rest) || !is_host(rest))
        return SLICE_NONE;
    const char *colon = memrchr(rest.data, ':', rest.len);
    if (colon && memchr(colon, ']', rest.len - (size_t)(colon - rest.data)))
        colon = NULL; /* inside of an IPv6 address */
    size_t host_len = colon ? (size_t)(colon - rest.data) : rest.len;
    put_lower(scheme, (struct slice){text.data, scheme_len});
    put_lower(host, (struct slice){rest.data, host_len});
    shorten_ipv6(host);
    if (colon && host_len + 1 < rest.len) {
        char digits[8];
        put_lower(digits, (struct slice){colon + 1, rest.len - host_len - 1});
        snprintf(port, sizeof(port), "%lu", strtoul(digits, NULL, 10));
    }
    bool has_port = port[0] && !is_default_port(slice_of(scheme), port);
    int len =
        snprintf(out, ORIGIN_SIZE, "%s://%s%s%s", scheme, host, has_port ? ":" : "", has_port ? port : "");
    return (struct slice){out, (size_t)len};
}

/* The host ends in a number, so browsers take it for an IPv4 address (URL standard 3.5). */
static bool ends_in_number(const char *host)
{
    const char *dot = strrchr(host, '.');
    const char *last = dot ? dot + 1 : host;
    bool is_hex = last[0] == '0' && last[1] == 'x';
    return *last && strspn(is_hex ? last + 2 : last, is_hex ? "0123456789abcdef" : "0123456789") ==
                        strlen(last) - (is_hex ? 2 : 0);
}

bool origin_is_of_pages(struct slice origin)
{
    static const char *const without[] = {"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"};
    char host[ORIGIN_SIZE];
    struct in_addr address;
    struct slice authority = origin_authority(origin);
    struct slice scheme = {origin.data, authority.data ? origin.len - authority.len - 3 : 0};
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        if (slice_is(scheme, without[i]))
            return false;
    if ((!slice_is(scheme, "http") && !slice_is(scheme, "https")) || *authority.data == '[')
        return true;
    const char *colon = memchr(authority.data, ':', authority.len);
    put_lower(host, (struct slice){authority.data, colon ? (size_t)(colon - authority.data) : authority.len});
    size_t len = strlen(host);
    if (host[len - 1] == '.')
        host[len - 1] = '\0';
    return !ends_in_number(host) || (host[len - 1] && inet_pton(AF_INET, host, &address) == 1);
}

struct slice origin_authority(struct slice origin)
{
    const char *mark = memmem(origin.data, origin.len, "://", 3);
    if (!mark)
        return SLICE_NONE;
    size_t skip = (size_t)(mark - origin.data) + 3;
    return (struct slice){origin.data + skip, origin.len - skip};
}

struct slice origin_next(struct slice *list)
{
    static const char separators[] = " \t,";
    size_t at = 0;
    while (at < list->len && memchr(separators, list->data[at], sizeof(separators) - 1))
        at++;
    size_t end = at;
    while (end < list->len && !memchr(separators, list->data[end], sizeof(separators) - 1))
        end++;
    struct slice entry = {list->data + at, end - at};
    *list = (struct slice){list->data + end, list->len - end};
    return entry.len > 0 ? entry : SLICE_NONE;
}
