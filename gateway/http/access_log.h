#pragma once
/* One line of the log for each request (http.answered): method, route, status, duration, company, user, correlation,
 * octets of the answer's body. A request without a route has its path instead; queries are never logged, because they
 * may hold a ticket; so has one that is refused before its head is complete. The line comes with the answer; that of a stream or a WebSocket comes at its end, with all octets
 * that it took. Where the client left before the answer, or before the end of its body, the status is 499.
 *
 * The level is info; it is warn for a 500, and for an answer that took CORTEX_SLOW_MS although the request did not ask
 * to wait. CORTEX_ACCESS_LOG_PER_S bounds the lines; without them a 500 is logged all the same. */

#include "gateway/http/call.h"

enum { ACCESS_LOG_GONE = 499 };

/* is_read: the method could be read. */
void access_log_answer(const struct call *call, bool is_read, int status, size_t octets);

/* The answer is a stream: the line is written when the connection ends. `call` may be gone by then. */
void access_log_stream(const struct call *call, int status);
/* The connection is a stream, and its client has shown now who it is. */
void access_log_identify(struct conn *conn, const struct identity *identity);
