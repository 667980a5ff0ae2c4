#pragma once
/* Asks the server to cancel what a connection runs, without stopping the event loop.
 *
 * The request goes over a connection of its own to the same address, and only libpq has the key for it
 * (PQcancel, which waits for the server). So a thread sends it. libpq 17 has calls that do not wait; 15 has not.
 * A connection has at most one request on its way. When its server hangs, the thread ends once the keepalives
 * of libpq give the server up. */

#include <libpq-fe.h>
#include <stdbool.h>

#include "common/base/macros.h"

struct ev_loop;
struct cancel;

/* Called from the loop when the server has dealt with the request or cannot be reached. After that the request
 * meets no later statement. */
typedef void cancel_on_done(void *arg);

/* NULL: no thread could be made. */
struct cancel *cancel_start(struct ev_loop *loop, PGconn *conn, cancel_on_done *on_done,
                            void *arg) MUST_CHECK;
/* The thread finishes alone. NULL is allowed; not from inside on_done. */
void cancel_forget(struct cancel *cancel);
