#include "common/msg/format.h"

#include <arpa/inet.h>

/* Which characters may stand where (RFC 3986 section 2 and appendix A), as bits. */
enum {
    SCHEME = 1 << 0,   /* after its first letter */
    REG_NAME = 1 << 1, /* unreserved and sub-delims: a host's name */
    USERINFO = 1 << 2, /* REG_NAME and ":" */
    PCHAR = 1 << 3,    /* USERINFO and "@" */
    PATH = 1 << 4,     /* PCHAR and "/" */
    QUERY = 1 << 5,    /* PATH and "?"; for a fragment too */
    HEX = 1 << 6,
    ALPHA = 1 << 7,
};
#define FROM_PATH     (PATH | QUERY)
#define FROM_PCHAR    (PCHAR | FROM_PATH)
#define FROM_USERINFO (USERINFO | FROM_PCHAR)
#define FROM_REG_NAME (REG_NAME | FROM_USERINFO)

static const uint8_t classes[256] = {
    ['a' ... 'f'] = SCHEME | ALPHA | HEX | FROM_REG_NAME,
    ['g' ... 'z'] = SCHEME | ALPHA | FROM_REG_NAME,
    ['A' ... 'F'] = SCHEME | ALPHA | HEX | FROM_REG_NAME,
    ['G' ... 'Z'] = SCHEME | ALPHA | FROM_REG_NAME,
    ['0' ... '9'] = SCHEME | HEX | FROM_REG_NAME,
    ['-'] = SCHEME | FROM_REG_NAME,
    ['.'] = SCHEME | FROM_REG_NAME,
    ['+'] = SCHEME | FROM_REG_NAME,
    ['_'] = FROM_REG_NAME,
    ['~'] = FROM_REG_NAME,
    ['!'] = FROM_REG_NAME,
    ['$'] = FROM_REG_NAME,
    ['&'] = FROM_REG_NAME,
    ['\''] = FROM_REG_NAME,
    ['('] = FROM_REG_NAME,
    [')'] = FROM_REG_NAME,
    ['*'] = FROM_REG_NAME,
    [','] = FROM_REG_NAME,
    [';'] = FROM_REG_NAME,
    ['='] = FROM_REG_NAME,
    [':'] = FROM_USERINFO,
    ['@'] = FROM_PCHAR,
    ['/'] = FROM_PATH,
    ['?'] = QUERY,
};

static bool is_class(char c, uint8_t class)
{
    return (classes[(uint8_t)c] & class) != 0;
}

static bool all_of(struct slice text, uint8_t class)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_class(text.data[i], class))
            return false;
    return true;
}

/* Whether the text consists of characters of the class and percent-encoded octets. */
static bool all_encoded(struct slice text, uint8_t class)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_class(text.data[i], class))
            continue;
        if (text.data[i] != '%' || text.len - i < 3 || !is_class(text.data[i + 1], HEX) ||
            !is_class(text.data[i + 2], HEX))
            return false;
        i += 2;
    }
    return true;
}

/* Returns where the first of `stops` stands, or the length of the text. */
static size_t find_any(struct slice text, const char *stops)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] && strchr(stops, text.data[i]))
            return i;
    return text.len;
}

static struct slice from(struct slice text, size_t at)
{
    return (struct slice){text.data + at, text.len - at};
}

static struct slice until(struct slice text, size_t at)
{
    return (struct slice){text.data, at};
}

static bool is_address(int family, struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t octets[16];
    if (text.len >= sizeof(copy) || memchr(text.data, '\0', text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, octets) == 1;
}

bool msg_format_is_ipv4(struct slice text)
{
    return is_address(AF_INET, text);
}

bool msg_format_is_ipv6(struct slice text)
{
    return is_address(AF_INET6, text);
}

/* IPvFuture: "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool is_future_address(struct slice text)
{
    size_t dot = find_any(text, ".");
    return dot >= 2 && (text.data[0] == 'v' || text.data[0] == 'V') && dot + 1 < text.len &&
           all_of((struct slice){text.data + 1, dot - 1}, HEX) && all_of(from(text, dot + 1), USERINFO);
}

static bool is_digits(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return true;
}

static bool is_host_and_port(struct slice text)
{
    size_t host_end;
    if (text.len && text.data[0] == '[') {
        size_t close = find_any(text, "]");
        if (close == text.len)
            return false;
        struct slice address = {text.data + 1, close - 1};
        if (!msg_format_is_ipv6(address) && !is_future_address(address))
            return false;
        host_end = close + 1;
    } else {
        host_end = find_any(text, ":");
        if (!all_encoded(until(text, host_end), REG_NAME))
            return false;
    }
    struct slice port = from(text, host_end);
    return port.len == 0 || (port.data[0] == ':' && is_digits(from(port, 1)));
}

static bool is_authority(struct slice text)
{
    size_t at = find_any(text, "@");
    if (at < text.len)
        return all_encoded(until(text, at), USERINFO) && is_host_and_port(from(text, at + 1));
    return is_host_and_port(text);
}

/* hier-part: "//" authority path, or a path that does not begin with "//". */
static bool is_hierarchy(struct slice text)
{
    if (text.len < 2 || text.data[0] != '/' || text.data[1] != '/')
        return all_encoded(text, PATH);
    struct slice rest = from(text, 2);
    size_t path = find_any(rest, "/");
    return is_authority(until(rest, path)) && all_encoded(from(rest, path), PATH);
}

bool msg_format_is_uri(struct slice text)
{
    size_t colon = find_any(text, ":/?#");
    if (colon == 0 || colon == text.len || text.data[colon] != ':' || !is_class(text.data[0], ALPHA) ||
        !all_of(until(text, colon), SCHEME))
        return false;
    struct slice rest = from(text, colon + 1);
    size_t hash = find_any(rest, "#");
    if (hash < rest.len && !all_encoded(from(rest, hash + 1), QUERY))
        return false;
    rest = until(rest, hash);
    size_t question = find_any(rest, "?");
    if (question < rest.len && !all_encoded(from(rest, question + 1), QUERY))
        return false;
    return is_hierarchy(until(rest, question));
}
