#include "common/base/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { BITS = 128, MAPPED_BITS = 96 };
static const uint8_t mapped[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

bool ip_address_is_v4(const struct ip_address *address)
{
    return memcmp(address->octets, mapped, sizeof(mapped)) == 0;
}

static void set_v4(struct ip_address *address, const void *octets)
{
    memcpy(address->octets, mapped, sizeof(mapped));
    memcpy(address->octets + sizeof(mapped), octets, sizeof(address->octets) - sizeof(mapped));
}

static bool parse(struct slice text, struct ip_address *ret_address, bool *ret_is_written_as_v4)
{
    char copy[INET6_ADDRSTRLEN];
    struct in_addr v4;
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *ret_is_written_as_v4 = inet_pton(AF_INET, copy, &v4) == 1;
    if (*ret_is_written_as_v4)
        set_v4(ret_address, &v4);
    return *ret_is_written_as_v4 || inet_pton(AF_INET6, copy, ret_address->octets) == 1;
}

bool ip_address_parse(struct slice text, struct ip_address *ret_address)
{
    bool is_written_as_v4;
    return parse(text, ret_address, &is_written_as_v4);
}

bool ip_address_from_socket(const struct sockaddr *socket, struct ip_address *ret_address)
{
    if (socket->sa_family == AF_INET)
        set_v4(ret_address, &((const struct sockaddr_in *)(const void *)socket)->sin_addr);
    else if (socket->sa_family == AF_INET6)
        memcpy(ret_address->octets, &((const struct sockaddr_in6 *)(const void *)socket)->sin6_addr,
               sizeof(ret_address->octets));
    return socket->sa_family == AF_INET || socket->sa_family == AF_INET6;
}

bool network_parse(struct slice text, struct network *ret_network)
{
    const char *slash = memchr(text.data, '/', text.len);
    bool is_v4;
    struct slice address = {text.data, slash ? (size_t)(slash - text.data) : text.len};
    if (!parse(address, &ret_network->address, &is_v4))
        return false;
    unsigned most = is_v4 ? BITS - MAPPED_BITS : BITS, bits = 0;
    size_t digits = slash ? text.len - address.len - 1 : 0;
    if (slash && (digits == 0 || digits > 3))
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (slash[1 + i] < '0' || slash[1 + i] > '9')
            return false;
        bits = bits * 10 + (unsigned)(slash[1 + i] - '0');
    }
    if (!slash)
        bits = most;
    ret_network->bits = bits + (is_v4 ? MAPPED_BITS : 0);
    return bits <= most;
}

bool network_has(const struct network *network, const struct ip_address *address)
{
    const uint8_t *wanted = network->address.octets;
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    return memcmp(wanted, address->octets, whole) == 0 &&
           (rest == 0 || (wanted[whole] ^ address->octets[whole]) >> (8 - rest) == 0);
}

bool network_is_valid(struct slice network)
{
    struct network parsed;
    return network_parse(network, &parsed);
}

bool network_contains(struct slice network, const char *address)
{
    struct network parsed;
    struct ip_address wanted;
    return network_parse(network, &parsed) && ip_address_parse(slice_of(address), &wanted) &&
           network_has(&parsed, &wanted);
}
