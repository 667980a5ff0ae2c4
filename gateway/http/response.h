#pragma once
/* Writes the answers to HTTP requests on their connections: head, body, and what becomes of the exchange. */

#include <time.h>

#include "gateway/http/call.h"

struct conn_protocol;

/* What the answers of a process share. */
struct response_writer {
    struct ev_loop *loop;
    struct buf head; /* the one that is being written */
    time_t date_second;
    char date[30]; /* of that second */
};

void response_writer_init(struct response_writer *writer, struct ev_loop *loop);
void response_writer_done(struct response_writer *writer);

/* The `deliver` of calls that come over HTTP; their deliver_arg is the response_writer. */
void response_deliver(struct call *call, int status, const char *content_type, struct bytes *whole,
                      struct slice body);

/* An answer without an end: the status (200 or 206), the given head lines (each with its CRLF) and those that were
 * added. Then the connection belongs to the protocol, and the body ends when that closes it. Frees the call. */
void response_stream(struct call *call, int status, struct slice head_lines,
                     const struct conn_protocol *protocol, void *state);

/* Leaves HTTP: 101 and the given head lines (each with its CRLF). Then the connection belongs to the
 * protocol. Frees the call. */
void response_upgrade(struct call *call, struct slice head_lines, const struct conn_protocol *protocol,
                      void *state);
