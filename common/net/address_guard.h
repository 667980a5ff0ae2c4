#pragma once
/* Which addresses our own requests to other people's servers may go to: those of the public Internet. Whoever gives us a
 * URL, or answers for its host's name, could otherwise let us reach what is near us: this machine, its network, the
 * metadata of a cloud. No I/O.
 *
 * The tables follow IANA's registries of special-purpose addresses (RFC 6890 and its successors), and add the
 * addresses of metadata services that lie outside of them. */

#include <stdbool.h>

#include "common/base/network.h"

struct address_guard;

/* allow: networks, separated by commas or spaces, that may be reached although they are not public, such as receivers in
 * the operator's own network; "" for none. NULL when the text cannot be read. */
struct address_guard *address_guard_new(const char *allow);
void address_guard_free(struct address_guard *guard);

/* NULL when the address may be reached, or what it is, such as "a private address". An address of IPv6 that carries one
 * of IPv4 (mapped, NAT64) is judged as that. A metadata service is allowed only by a network of one address. */
const char *address_guard_refuses(const struct address_guard *guard, const struct ip_address *address);

/* Whether a network of `allow` has it. Such an address may be spoken to without TLS. */
bool address_guard_allows_expressly(const struct address_guard *guard, const struct ip_address *address);
/* Whether `allow` named any network. */
bool address_guard_allows_any_expressly(const struct address_guard *guard);
