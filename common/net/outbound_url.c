#include "common/net/outbound_url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/macros.h"
#include "common/net/http_client.h"

/* Names of this machine in the hosts files of Linux distributions; RFC 6761 6.3 for those below localhost. */
static const char *const own_names[] = {"localhost",  "localdomain",   "localhost4",
                                        "localhost6", "ip6-localhost", "ip6-loopback"};

static bool refuse(char why[OUTBOUND_URL_WHY_SIZE], const char *begin, const char *what)
{
    snprintf(why, OUTBOUND_URL_WHY_SIZE, "%s%s", begin, what);
    return false;
}

static const char *last_label(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static bool is_own_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(own_names); i++)
        if (strcasecmp(last_label(name), own_names[i]) == 0)
            return true;
    return false;
}

/* What curl did not take for an address of IPv4 although it ends as one: 1.2.3.4.5, 127.1 before a dot, a number that is
 * too large. No domain at the top is a number, and some resolver might take it for an address. */
static bool ends_in_a_number(const char *name)
{
    const char *label = last_label(name);
    if (strncasecmp(label, "0x", 2) == 0)
        return strspn(label + 2, "0123456789abcdefABCDEF") == strlen(label + 2);
    return strspn(label, "0123456789") == strlen(label);
}

/* Letters, digits, "-" and "_" in labels that are not empty. What was percent-encoded has been decoded. */
static bool is_name(const char *name)
{
    static const char known[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return *name && *name != '.' && !strstr(name, "..") && strspn(name, known) == strlen(name);
}

static bool judge_address(const struct address_guard *guard, const struct ip_address *address, bool is_plain,
                          char why[OUTBOUND_URL_WHY_SIZE])
{
    const char *what = address_guard_refuses(guard, address);
    if (what)
        return refuse(why, "the host is ", what);
    if (is_plain && !address_guard_allows_expressly(guard, address))
        return refuse(why, "", "it must begin with https://");
    return true;
}

bool outbound_url_is_allowed(const struct address_guard *guard, const char *url,
                             char why[OUTBOUND_URL_WHY_SIZE])
{
    static const struct ip_address own = {.octets = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
    struct http_url parts;
    struct ip_address address;
    const char *fault = http_url_read(url, &parts);
    if (fault)
        return refuse(why, "", fault);
    size_t len = strlen(parts.host);
    if (len > 1 && parts.host[len - 1] == '.')
        parts.host[--len] = '\0';
    if (ip_address_parse((struct slice){parts.host, len}, &address))
        return judge_address(guard, &address, parts.is_plain, why);
    if (!is_name(parts.host) || ends_in_a_number(parts.host))
        return refuse(why, "", "its host is neither a name nor an address");
    if (is_own_name(parts.host))
        return judge_address(guard, &own, parts.is_plain, why);
    if (parts.is_plain && !address_guard_allows_any_expressly(guard))
        return refuse(why, "", "it must begin with https://");
    return true;
}
