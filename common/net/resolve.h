#pragma once
/* Host names to addresses without stopping the loop: getaddrinfo(3) runs in a thread of its own, one look-up
 * each.
 *
 * A look-up lives from resolve_start until its on_done has returned or resolve_cancel was called. A cancelled
 * one leaves its thread to finish alone and touches neither the loop nor `arg` again. */

#include <ev.h>
#include <netdb.h>

#include <stdbool.h>

#include "common/base/macros.h"

struct resolve;

/* addresses: for TCP, in the order of RFC 6724, valid during the call; NULL when there are none, and then
 * `why` says so. Never called from inside resolve_start. */
typedef void resolve_on_done(void *arg, const struct addrinfo *addresses, const char *why);

/* NULL when no thread can be made. */
struct resolve *resolve_start(struct ev_loop *loop, const char *host, resolve_on_done *on_done,
                              void *arg) MUST_CHECK;
void resolve_cancel(struct resolve *resolve); /* NULL is fine; not from inside on_done */
