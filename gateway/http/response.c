#include "gateway/http/response.h"

#include "gateway/http/access_log.h"
#include "gateway/http/caching.h"
#include "gateway/http/exchange.h"
#include "gateway/net/conn.h"

enum { COPIED_MAX = 2048 }; /* copying a smaller body costs less than queueing it as a piece of its own */

/* ---- what answers share ---- */

void response_writer_init(struct response_writer *writer, struct ev_loop *loop)
{
    *writer = (struct response_writer){.loop = loop, .date_second = -1};
    buf_init(&writer->head, (size_t)2 * CALL_ADDED_MAX);
}

void response_writer_done(struct response_writer *writer)
{
    buf_done(&writer->head);
}

static struct buf *empty_head(struct response_writer *writer)
{
    buf_clear(&writer->head);
    return &writer->head;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7), made once a second. */
static struct slice date_of(struct response_writer *writer)
{
    time_t now = (time_t)ev_now(writer->loop);
    if (now != writer->date_second) {
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(writer->date, sizeof(writer->date), "%a, %d %b %Y %H:%M:%S GMT",
                 &tm); /* the C locale's names */
        writer->date_second = now;
    }
    return (struct slice){writer->date, sizeof(writer->date) - 1};
}

/* ---- the head ---- */

/* The status lines of HTTP/1.1 (RFC 9110 15) that we use. */
static const struct status_line {
    int status;
    struct slice line;
} status_lines[] = {
#define STATUS(number, reason)                                                                       \
    {                                                                                                \
        number,                                                                                      \
        {                                                                                            \
            "HTTP/1.1 " #number " " reason "\r\n", sizeof("HTTP/1.1 " #number " " reason "\r\n") - 1 \
        }                                                                                            \
    }
    STATUS(101, "Switching Protocols"),
    STATUS(200, "OK"),
    STATUS(201, "Created"),
    STATUS(202, "Accepted"),
    STATUS(204, "No Content"),
    STATUS(206, "Partial Content"),
    STATUS(304, "Not Modified"),
    STATUS(400, "Bad Request"),
    STATUS(401, "Unauthorized"),
    STATUS(403, "Forbidden"),
    STATUS(404, "Not Found"),
    STATUS(405, "Method Not Allowed"),
    STATUS(406, "Not Acceptable"),
    STATUS(408, "Request Timeout"),
    STATUS(409, "Conflict"),
    STATUS(410, "Gone"),
    STATUS(412, "Precondition Failed"),
    STATUS(413, "Content Too Large"),
    STATUS(414, "URI Too Long"),
    STATUS(415, "Unsupported Media Type"),
    STATUS(416, "Range Not Satisfiable"),
    STATUS(417, "Expectation Failed"),
    STATUS(422, "Unprocessable Content"),
    STATUS(426, "Upgrade Required"),
    STATUS(429, "Too Many Requests"),
    STATUS(431, "Request Header Fields Too Large"),
    STATUS(500, "Internal Server Error"),
    STATUS(501, "Not Implemented"),
    STATUS(503, "Service Unavailable"),
    STATUS(505, "HTTP Version Not Supported"),
#undef STATUS
};

static void append_status_line(struct buf *head, int status)
{
    for (size_t i = 0; i < ARRAY_LEN(status_lines); i++)
        if (status_lines[i].status == status) {
            buf_append_slice(head, status_lines[i].line);
            return;
        }
    buf_printf(head, "HTTP/1.1 %d \r\n", status);
}

static void append_header(struct buf *head, struct slice name_and_colon, struct slice value)
{
    buf_append_slice(head, name_and_colon);
    buf_append_slice(head, value);
    buf_append(head, "\r\n", 2);
}

/* RFC 9110 8.6: a 204 has no length, and a 304 would have to give the length of the 200. */
static bool has_length(int status)
{
    return status != 204 && status != 304;
}

static void append_connection(struct buf *head, const struct call *call)
{
    if (!call->keep_alive)
        append_header(head, SLICE("Connection: "), SLICE("close"));
    else if (call->is_1_0)
        append_header(head, SLICE("Connection: "), SLICE("keep-alive"));
}

static void write_head(struct call *call, int status, const char *content_type, size_t body_len)
{
    struct response_writer *writer = call->deliver_arg;
    struct buf *head = empty_head(writer);
    append_status_line(head, status);
    append_header(head, SLICE("Date: "), date_of(writer));
    if (content_type)
        append_header(head, SLICE("Content-Type: "), slice_of(content_type));
    if (has_length(status)) {
        buf_append(head, "Content-Length: ", 16);
        buf_append_u64(head, body_len);
        buf_append(head, "\r\n", 2);
    }
    append_header(head, SLICE("X-Request-Id: "), slice_of(call->correlation_id));
    append_connection(head, call);
    caching_append(head, call, status);
    buf_append_slice(head, buf_slice(&call->added));
    buf_append(head, "\r\n", 2);
    conn_write(call->conn, buf_slice(head));
}

/* ---- answers ---- */

void response_deliver(struct call *call, int status, const char *content_type, struct bytes *whole,
                      struct slice body)
{
    struct exchange *exchange = exchange_of(call);
    call->keep_alive = call->keep_alive && !call->gateway->draining;
    if (!content_type)
        body = SLICE("");
    write_head(call, status, content_type, body.len);
    if (call->method == METHOD_HEAD)
        body.len = 0;
    if (whole && body.len > COPIED_MAX)
        conn_write_part(call->conn, whole, body);
    else
        conn_write(call->conn, body);
    access_log_answer(call, exchange->request.target_len > 0, status, body.len);
    exchange_set_state(exchange, ANSWERED);
    if (!exchange->in_handler)
        conn_pause(call->conn, false); /* on_bytes ends the exchange, when the handler is off the stack */
}

/* ---- leaving HTTP ---- */

static void leave_http(struct call *call, int status, struct slice head_lines,
                       const struct conn_protocol *protocol, void *state)
{
    struct exchange *exchange = exchange_of(call);
    struct response_writer *writer = call->deliver_arg;
    struct buf *head = empty_head(writer);
    call->answered = true;
    call->on_gone = NULL;
    append_status_line(head, status);
    append_header(head, SLICE("Date: "), date_of(writer));
    append_header(head, SLICE("X-Request-Id: "), slice_of(call->correlation_id));
    buf_append_slice(head, head_lines);
    buf_append(head, "\r\n", 2);
    conn_write(call->conn, buf_slice(head));
    conn_limit(call->conn, 0);
    conn_set_protocol(call->conn, protocol, state);
    access_log_stream(call, status);
    exchange_set_state(exchange, LEFT);
    if (!exchange->in_handler) {
        conn_pause(call->conn, false);
        exchange_free(exchange);
    }
}

void response_stream(struct call *call, int status, struct slice head_lines,
                     const struct conn_protocol *protocol, void *state)
{
    call_add_header(call, "Connection", SLICE("close"));
    caching_append(&call->added, call, status);
    buf_append_slice(&call->added, head_lines);
    leave_http(call, status, buf_slice(&call->added), protocol, state);
}

void response_upgrade(struct call *call, struct slice head_lines, const struct conn_protocol *protocol,
                      void *state)
{
    leave_http(call, 101, head_lines, protocol, state);
}
