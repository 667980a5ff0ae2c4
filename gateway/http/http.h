#pragma once
/* HTTP/1 on a connection: requests in, one at a time in work, answers out in their order.
 *
 *   (nothing) ── bytes ──▶ READING ── head and body ──▶ WORKING ── call answered ──▶ (nothing), or closed
 *                             └── refusal, time ──▶ answered and closed
 *
 * An exchange (a request and its answer) exists only between its first octet and its answer: a connection
 * between requests holds nothing here.
 */

#include "gateway/gateway.h"
#include "gateway/net/conn.h"

/* What the requests of a process share: exchanges that wait for use, and the Date of this second. */
struct http;
struct http *http_new(struct gateway *gateway);
void http_free(struct http *http);

extern const struct conn_protocol http_protocol;

/* For requests that come another way (rpc_call.h). */
struct exchange_pool;
struct exchange_pool *http_exchanges(struct http *http);
