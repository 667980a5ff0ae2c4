#pragma once
/* The socket on which a gateway listens. The parent opens one per process with SO_REUSEPORT, so that the
 * kernel balances. */

#include "common/base/err.h"

enum {
    LISTEN_BACKLOG = 4096
}; /* connections that wait to be accepted; the kernel cuts it to net.core.somaxconn */

/* Listens at "address:port" or "[address]:port", numeric. The socket is non-blocking. On failure `why` gets a
 * sentence. */
/* Whether it is address:port, and this process may listen there; somebody else may do so already. */
enum err listen_check(const char *address, char why[256]) MUST_CHECK;
enum err listen_open(const char *address, int *ret_fd, char why[256]) MUST_CHECK;

/* Whether somebody listens there already: a gateway that this one is to replace, or a mistake that
 * SO_REUSEPORT would hide. */
bool listen_is_taken(const char *address);
