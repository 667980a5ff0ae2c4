#pragma once
/* Resolves host names without stopping the event loop: each look-up runs getaddrinfo(3) in a thread of its
 * own.
 *
 * A look-up lives from resolve_start until its on_done has returned or resolve_cancel was called. After a
 * cancel the thread finishes alone and touches neither the loop nor `arg` again. */

#include <ev.h>
#include <netdb.h>

#include <stdbool.h>

#include "common/base/macros.h"

struct resolve;

/* The addresses are for TCP, in the order of RFC 6724, and valid during the call. When there are none, they
 * are NULL and `why` says why. Never called from inside resolve_start. */
typedef void resolve_on_done(void *arg, const struct addrinfo *addresses, const char *why);

/* Starts a look-up. Returns NULL when no thread can be made. */
struct resolve *resolve_start(struct ev_loop *loop, const char *host, resolve_on_done *on_done,
                              void *arg) MUST_CHECK;
void resolve_cancel(struct resolve *resolve); /* NULL is allowed; not from inside on_done */
