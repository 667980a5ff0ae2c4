#include "common/base/url.h"

#include <stdio.h>

#include "common/base/authority.h"
#include "common/base/hex.h"

enum { PORT_MAX = 65535 };

bool url_fail(const struct url_reading *r, const char *at, const char *reason)
{
    snprintf(r->why, URL_WHY_SIZE, "character %zu: %s", (size_t)(at - r->all) + 1, reason);
    return false;
}

size_t url_until(struct slice text, const char *any)
{
    size_t len = 0;
    while (len < text.len && !strchr(any, text.data[len]))
        len++;
    return len;
}

struct slice url_from(struct slice text, size_t len)
{
    return (struct slice){text.data + len, text.len - len};
}

bool url_number(struct slice text, long most, int *ret_number)
{
    long number = 0;
    for (size_t i = 0; i < text.len && number <= most; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = (int)number;
    return text.len > 0 && number <= most;
}

bool url_is_printable(const struct url_reading *r, struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == '\x7f')
            return url_fail(r, text.data + i, "there is a blank or a control character");
    return true;
}

char *url_decode(const struct url_reading *r, struct slice text, char *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0 || (high | low) == 0) {
                url_fail(r, text.data + i,
                         "% must be followed by two hexadecimal digits, and %00 is not allowed");
                return NULL;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        *out++ = c;
    }
    *out++ = '\0';
    return out;
}

bool url_host(const struct url_reading *r, struct slice authority, struct slice *ret_host, int *ret_port)
{
    bool is_literal = authority.len > 0 && authority.data[0] == '[';
    const char *colon = memrchr(authority.data, ':', authority.len);
    const char *close = is_literal ? memchr(authority.data, ']', authority.len) : NULL;
    if (is_literal && !close)
        return url_fail(r, authority.data, "[ is not closed by ]");
    if (close && colon < close)
        colon = NULL;
    size_t len = colon ? (size_t)(colon - authority.data) : authority.len;
    struct slice port = {colon ? colon + 1 : "", colon ? authority.len - len - 1 : 0};
    *ret_port = 0;
    if (colon && (!url_number(port, PORT_MAX, ret_port) || *ret_port == 0))
        return url_fail(r, port.data, "the port must be a number from 1 to 65535");
    *ret_host = (struct slice){authority.data, len};
    bool has_colon =
        !is_literal && memchr(authority.data, ':', len); /* "h:1:2", or an IPv6 address without [] */
    return len == 0 || (!has_colon && authority_is_valid(*ret_host)) ||
           url_fail(r, authority.data, "the host is neither a name nor an address");
}

bool url_query(const struct url_reading *r, struct slice query,
               bool (*take)(void *arg, struct slice name, struct slice value), void *arg)
{
    while (query.len > 0) {
        struct slice pair = {query.data, url_until(query, "&")};
        size_t len = url_until(pair, "=");
        if (pair.len > 0 && len == pair.len)
            return url_fail(r, pair.data, "a parameter must have a value: name=value");
        if (pair.len > 0 && !take(arg, (struct slice){pair.data, len}, url_from(pair, len + 1)))
            return false;
        query = url_from(query, pair.len < query.len ? pair.len + 1 : pair.len);
    }
    return true;
}
