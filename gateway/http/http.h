#pragma once
/* HTTP/1 on a connection: requests come in, one at a time is in work, and answers go out in the order of the
 * requests.
 *
 *   (nothing) ── bytes ──▶ READING ── head and body ──▶ WORKING ── call answered ──▶ (nothing), or closed
 *                             └── refusal, time ──▶ answered and closed
 *
 * An exchange (a request and its answer) exists only from its first octet to its answer. A connection that
 * waits for its next request holds nothing here.
 */

#include "gateway/gateway.h"
#include "gateway/net/conn.h"

/* What the requests of a process share: exchanges that wait for use, and the Date of this second. */
struct http;
struct http *http_new(struct gateway *gateway);
void http_free(struct http *http);

extern const struct conn_protocol http_protocol;

/* Exchanges for requests that come another way (rpc_call.h). */
struct exchange_pool;
struct exchange_pool *http_exchanges(struct http *http);
