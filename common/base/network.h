#pragma once
/* Addresses and networks of the Internet as text: "10.1.2.3", "10.0.0.0/8", "fd00::/8". No I/O. */

#include "common/base/slice.h"

bool network_is_valid(struct slice network);
/* Whether the address is in the network. An IPv4 address that is written as IPv6 (::ffff:10.1.2.3) is the same. */
bool network_contains(struct slice network, const char *address);
