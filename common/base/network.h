#pragma once
/* Addresses and networks of the Internet, as numbers and as text: "10.1.2.3", "10.0.0.0/8", "fd00::/8". No I/O. */

#include <sys/socket.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

/* Every address as one of IPv6: 10.1.2.3 is ::ffff:10.1.2.3, also when it was written so (RFC 4291 2.5.5.2). */
struct ip_address {
    uint8_t octets[16];
};

struct network {
    struct ip_address address; /* its bits after the first `bits` do not count */
    unsigned bits;             /* 0 to 128; those of IPv4 begin at 96 */
};

bool ip_address_parse(struct slice text, struct ip_address *ret_address);
/* false: it is neither of IPv4 nor of IPv6. */
bool ip_address_from_socket(const struct sockaddr *socket, struct ip_address *ret_address);
bool ip_address_is_v4(const struct ip_address *address);

/* An address without "/bits" is a network of one. */
bool network_parse(struct slice text, struct network *ret_network);
bool network_has(const struct network *network, const struct ip_address *address);

/* The same of texts; false when one of them cannot be read. */
bool network_is_valid(struct slice network);
bool network_contains(struct slice network, const char *address);
