#include "common/base/authority.h"

#include <arpa/inet.h>

#include "common/base/hex.h"

enum { PORT_DIGITS_MAX = 5, PORT_MAX = 65535 };

static bool is_port(struct slice text)
{
    unsigned port = 0;
    if (text.len > PORT_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.data[i] - '0');
    }
    return port <= PORT_MAX;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=", c) != NULL);
}

/* reg-name, which every IPv4 address is, too */
static bool is_name(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '%' && i + 2 < text.len && hex_value(text.data[i + 1]) >= 0 &&
            hex_value(text.data[i + 2]) >= 0)
            i += 2;
        else if (!is_name_character(text.data[i]))
            return false;
    }
    return text.len > 0;
}

static bool is_ipv6(struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.len >= sizeof(copy) || memchr(text.data, '\0', text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

bool authority_is_valid(struct slice authority)
{
    bool is_literal = authority.len > 0 && authority.data[0] == '[';
    const char *close = is_literal ? memchr(authority.data, ']', authority.len) : NULL;
    const char *colon = is_literal ? NULL : memchr(authority.data, ':', authority.len);
    size_t host_len = close ? (size_t)(close - authority.data) + 1
                            : (colon ? (size_t)(colon - authority.data) : authority.len);
    struct slice host = {authority.data, host_len};
    struct slice rest = {authority.data + host_len, authority.len - host_len};
    bool has_host =
        is_literal ? close && is_ipv6((struct slice){host.data + 1, host.len - 2}) : is_name(host);
    bool has_port =
        rest.len == 0 || (rest.data[0] == ':' && is_port((struct slice){rest.data + 1, rest.len - 1}));
    return has_host && has_port;
}
