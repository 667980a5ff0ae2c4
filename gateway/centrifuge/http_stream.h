#pragma once
/* A session on an HTTP answer without an end, for clients whose network breaks WebSockets: the answer to a POST whose
 * body is the first commands, or Server-Sent Events. The client says what follows by POST /emulation, with the
 * `session` and `node` that the reply to connect names (emulation.h). */

#include "gateway/http/call.h"

void http_stream_open(struct call *call);     /* POST /connection/http_stream */
void http_stream_open_sse(struct call *call); /* GET /connection/sse?cf_connect={…} */

struct http_streams;

struct http_streams *http_streams_new(void);
void http_streams_free(struct http_streams *streams); /* after the connections */

/* Hands commands to the stream with this secret. False: there is none here. `number`: of the question of another process
 * that brought them; one that comes twice is heard once. 0: they came here directly. */
bool http_streams_hear(struct http_streams *streams, const struct uuid *secret, uint64_t number,
                       struct slice commands);
