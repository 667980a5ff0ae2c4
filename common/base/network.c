#include "common/base/network.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>

enum { BITS = 128, MAPPED_BITS = 96 };

/* Every address as one of IPv6; ::ffff:0:0/96 are those of IPv4 (RFC 4291 2.5.5.2). */
static bool read_address(struct slice text, uint8_t octets[16], bool *ret_is_ipv4)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    memset(octets, 0, 16);
    octets[10] = octets[11] = 0xff;
    *ret_is_ipv4 = inet_pton(AF_INET, copy, octets + 12) == 1;
    return *ret_is_ipv4 || inet_pton(AF_INET6, copy, octets) == 1;
}

static bool read_network(struct slice text, uint8_t octets[16], unsigned *ret_bits)
{
    const char *slash = memchr(text.data, '/', text.len);
    bool is_ipv4;
    struct slice address = {text.data, slash ? (size_t)(slash - text.data) : text.len};
    if (!read_address(address, octets, &is_ipv4))
        return false;
    unsigned most = is_ipv4 ? BITS - MAPPED_BITS : BITS, bits = 0;
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
    *ret_bits = bits + (is_ipv4 ? MAPPED_BITS : 0);
    return bits <= most;
}

bool network_is_valid(struct slice network)
{
    uint8_t octets[16];
    unsigned bits;
    return read_network(network, octets, &bits);
}

bool network_contains(struct slice network, const char *address)
{
    uint8_t wanted[16], octets[16];
    unsigned bits;
    bool is_ipv4;
    if (!read_network(network, wanted, &bits) || !read_address(slice_of(address), octets, &is_ipv4))
        return false;
    size_t whole = bits / 8;
    unsigned rest = bits % 8;
    return memcmp(wanted, octets, whole) == 0 &&
           (rest == 0 || (wanted[whole] ^ octets[whole]) >> (8 - rest) == 0);
}
