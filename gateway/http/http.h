#pragma once
/* HTTP/1 on a connection: requests in, one at a time in work, answers out in their order.
 *
 *   (nothing) ── bytes ──▶ READING ── head and body ──▶ WORKING ── call answered ──▶ (nothing), or closed
 *                             └── refusal, time ──▶ answered and closed
 *
 * An exchange (a request and its answer) exists only between its first octet and its answer: a connection
 * between requests holds nothing here.
 */

#include "common/base/buf.h"
#include "gateway/gateway.h"
#include "gateway/net/conn.h"

/* What the requests of a process share: exchanges at rest, the Date of this second. */
struct http;
enum err http_new(struct gateway *gateway, struct http **ret_http) MUST_CHECK;
void http_free(struct http *http);

extern const struct conn_protocol http_protocol;

/* ---- for call.c ---- */

struct call;
struct bytes;
/* The `deliver` of calls that came over HTTP. */
void http_deliver(struct call *call, int status, const char *content_type, struct bytes *whole,
                  struct slice body);
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7), made once a second. */
struct slice http_date(struct http *http);
/* An empty buffer to write a head into; valid until the next call. */
struct buf *http_scratch(struct http *http);
/* The answer is written: the exchange ends, from the loop when the handler answers later. */
void http_answered(struct call *call);
/* The connection belongs to another protocol now. */
void http_left(struct call *call);
