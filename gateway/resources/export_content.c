/* GET /v1/exports/{id}/content: the pieces that the job has stored, one after the other. A piece is read when
 * the socket has taken the one before. So a slow client costs the memory of one piece, and no connection to
 * the database.
 *
 *   the export's row ─▶ head ─▶ query ─ piece ─▶ write ─ taken ─▶ query … the last piece ─▶ closed
 *
 * The head has the length, so a client that gets less knows that the file was cut; it can ask for the rest (Range). A
 * part begins with the piece that its first octet is in.
 */

#include "gateway/resources/export_content.h"

#include <stdio.h>

#include "gateway/auth/revocations.h"
#include "gateway/http/authorize.h"
#include "gateway/http/etag.h"
#include "gateway/http/response.h"
#include "gateway/net/conn.h"
#include "gateway/resources/query.h"
#include "gateway/resources/range.h"

enum { STATUS, RESOURCE, FORMAT, BYTES, IS_EXPIRED, DAY };
enum { CONTENT, N, SKIPPED }; /* of a piece */
enum { WAITS_MAX = 12 };

static const struct db_statement find = {
    "read.export_content",
    "SELECT status, resource, format, bytes, expires_at < now(),"
    " to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM export WHERE company_id = $1 AND id = $2"
    " AND ($3::uuid IS NULL OR creator_id = $3)"};

/* The piece that has the octet, and how many octets are before it in the piece. Lengths are known without the content. */
static const struct db_statement read_piece_at = {
    "read.export_piece_at",
    "SELECT p.content, p.n, $3::bigint - s.before FROM (SELECT n, length,"
    " sum(length) OVER (ORDER BY n) - length AS before FROM (SELECT n, octet_length(content) AS length"
    " FROM export_piece WHERE company_id = $1 AND export_id = $2) AS s) AS s"
    " JOIN export_piece AS p ON p.company_id = $1 AND p.export_id = $2 AND p.n = s.n"
    " WHERE $3::bigint >= s.before AND $3::bigint < s.before + s.length"};

static const struct db_statement read_piece = {
    "read.export_piece",
    "SELECT content, n, 0 FROM export_piece WHERE company_id = $1 AND export_id = $2 AND n = $3"};

static const struct {
    const char *format, *media;
} formats[] = {
    {"csv", "text/csv; charset=utf-8; header=present"},
    {"ndjson", "application/x-ndjson; charset=utf-8"},
};

struct download {
    struct conn *conn;
    struct gateway *gateway;
    struct identity identity; /* of the token */
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    struct range left;        /* of the file, to be sent */
    unsigned waits;           /* how often in a row the next piece has waited for its turn in vain */
    int64_t next;             /* piece; -1: the one that `left` begins in is not known yet */
    struct pool_query *query; /* NULL: none has been sent and not answered */
};

static void read_next(struct download *download);

static void write_part(struct download *download, struct db_result *result)
{
    struct slice part = db_text(result, 0, CONTENT);
    size_t skipped = (size_t)db_int(result, 0, SKIPPED);
    part = (struct slice){part.data + skipped, part.len - skipped};
    if ((int64_t)part.len > download->left.length)
        part.len = (size_t)download->left.length;
    struct bytes *content = db_share(result, 0, CONTENT);
    conn_write_part(download->conn, content, part);
    bytes_unref(content);
    download->next = db_int(result, 0, N) + 1;
    download->left.start += (int64_t)part.len;
    download->left.length -= (int64_t)part.len;
}

static void on_piece(void *arg, struct db_result *result)
{
    struct download *download = arg;
    struct conn *conn = download->conn;
    download->query = NULL;
    if (db_result_error(result) == ERR_DATABASE_BUSY && download->waits++ < WAITS_MAX) {
        read_next(download); /* the company's other reads were before it; nothing is lost yet */
        return;
    }
    if (db_result_error(result) ||
        db_rows(result) == 0) { /* the database failed, or the export has just expired */
        log_warn("export.content_cut", LOG_S("export", download->id), LOG_I("piece", download->next),
                 LOG_S("error", err_info(db_result_error(result))->name));
        conn_abort(conn);
        return;
    }
    download->waits = 0;
    write_part(download, result);
    read_next(download);
}

/* Does nothing while the socket is congested: on_bytes is called when it has taken some output. */
static void read_next(struct download *download)
{
    if (download->query || conn_is_congested(download->conn))
        return;
    if (download->left.length == 0) {
        conn_close(download->conn);
        return;
    }
    bool is_placed = download->next >= 0;
    char n[24];
    int len = snprintf(n, sizeof(n), "%lld", (long long)(is_placed ? download->next : download->left.start));
    const struct slice params[] = {slice_of(download->company), slice_of(download->id), {n, (size_t)len}};
    const struct db_query query = {.kind = DB_QUERY_EXPENSIVE,
                                   .expects_row = true,
                                   .company = params[0],
                                   .statement = is_placed ? &read_piece : &read_piece_at,
                                   .params = params,
                                   .param_count = ARRAY_LEN(params),
                                   .on_result = on_piece,
                                   .arg = download};
    if (db_pool_query(download->gateway->reads, &query, &download->query))
        conn_abort(download->conn);
}

/* ---- the connection ---- */

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    if (conn_is_open(conn))
        read_next(state);
    return bytes.len; /* the connection closes after the file, so a request that follows is not read */
}

static void on_end(struct conn *conn, void *state)
{
    (void)conn, (void)state; /* a client may close its sending side and still read the file */
}

static void on_timeout(struct conn *conn, void *state)
{
    (void)conn, (void)state; /* only the write timeout limits a download */
}

static void on_overflow(struct conn *conn, void *state)
{
    (void)conn, (void)state; /* never too much: a piece is not read before the one before is taken */
}

static void on_drain(struct conn *conn, void *state)
{
    (void)conn, (void)state; /* the download ends with the file, or when the time to drain is over */
}

/* The file is cut, also what has been written and not taken yet. */
static void on_revoked(struct conn *conn, void *state)
{
    const struct download *download = state;
    if (revocations_have(download->gateway->revocations, &download->identity))
        conn_abort(conn);
}

static void on_free(struct conn *conn, void *state)
{
    (void)conn;
    struct download *download = state;
    if (download->query)
        db_pool_drop(download->query);
    free(download);
}

static const struct conn_protocol protocol = {
    .name = "download",
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_timeout = on_timeout,
    .on_overflow = on_overflow,
    .on_drain = on_drain,
    .on_revoked = on_revoked,
    .on_free = on_free,
};

/* ---- the answer ---- */

static void start(struct call *call, int status, struct slice lines, struct range range)
{
    struct download *download = xcalloc(1, sizeof(*download));
    download->conn = call->conn;
    download->gateway = call->gateway;
    download->identity = call->identity;
    download->left = range;
    download->next = range.start > 0 ? -1 : 0;
    if (call->method == METHOD_HEAD)
        download->left.length = 0;
    uuid_format(&call->identity.company, download->company);
    snprintf(download->id, sizeof(download->id), "%.*s", (int)call->params[0].len, call->params[0].data);
    response_stream(call, status, lines, &protocol, download);
    read_next(download);
}

/* Of GET alone (RFC 9110 14.2). */
static enum range_answer range_of(struct call *call, int64_t size, struct range *ret_range)
{
    bool counts = call->method == METHOD_GET && range_is_current(call_header(call, "if-range"), call->etag);
    return range_parse(counts ? call_header_list(call, "range") : SLICE_NONE, size, ret_range);
}

static void add_content_range(struct call *call, const struct range *range, int64_t size)
{
    char text[96];
    int len = range ? snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)range->start,
                               (long long)(range->start + range->length - 1), (long long)size)
                    : snprintf(text, sizeof(text), "bytes */%lld", (long long)size);
    call_add_header(call, "Content-Range", (struct slice){text, (size_t)len});
}

static void begin(struct call *call, struct db_result *result, const char *media)
{
    char lines[512], etag[ETAG_SIZE];
    const struct msg_resource *exported = msg_resource_by_name(db_text(result, 0, RESOURCE));
    struct slice format = db_text(result, 0, FORMAT), day = db_text(result, 0, DAY);
    int64_t size = db_int(result, 0, BYTES);
    struct range range;
    call_set_etag(call,
                  etag_of_content(call->params[0], etag)); /* an export never changes when it has completed */
    call_add_header(call, "Accept-Ranges", SLICE("bytes"));
    if (!call_conditions_hold(call))
        return;
    enum range_answer answer = range_of(call, size, &range);
    if (answer != RANGE_WHOLE)
        add_content_range(call, answer == RANGE_PART ? &range : NULL, size);
    if (answer == RANGE_NOT_SATISFIED) {
        call_fail(call, ERR_RANGE_NOT_SATISFIABLE, NULL);
        return;
    }
    int len = snprintf(lines, sizeof(lines),
                       "Content-Type: %s\r\nContent-Length: %lld\r\n"
                       "Content-Disposition: attachment; filename=\"%s-%.*s.%.*s\"\r\n",
                       media, (long long)range.length, exported ? exported->collection : "export",
                       (int)day.len, day.data, (int)format.len, format.data);
    start(call, answer == RANGE_PART ? 206 : 200, (struct slice){lines, (size_t)len}, range);
}

static const char *media_of(struct slice format)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (slice_is(format, formats[i].format))
            return formats[i].media;
    return NULL;
}

static void on_export(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    const char *media = db_rows(result) > 0 ? media_of(db_text(result, 0, FORMAT)) : NULL;
    if (!media)
        call_fail(call, ERR_NOT_FOUND, NULL);
    else if (!slice_is(db_text(result, 0, STATUS), "completed"))
        call_fail(call, ERR_CONFLICT, "The export has not completed.");
    else if (*db_text(result, 0, IS_EXPIRED).data == 't')
        call_fail(call, ERR_NOT_FOUND, "The content of the export has expired.");
    else
        begin(call, result, media);
}

/* The other condition of the right to read exports is to have made it (schemas/messages/export.json). */
static void ask(struct call *call, unsigned conditions)
{
    const struct slice params[] = {call->params[0], conditions & MSG_MAY_ANY ? SLICE_NONE : query_user(call)};
    query_start(call, QUERY_FRESH, &find, params, ARRAY_LEN(params), on_export, NULL);
}

void read_export_content(struct call *call)
{
    const struct msg_resource *exports = msg_resource_by_name(SLICE("export"));
    if (!call->conn) /* a request over a WebSocket: a file does not fit into a message */
        call_fail(call, ERR_NOT_IMPLEMENTED, NULL);
    else if (authorize_right(call, exports, MSG_RIGHT_READ))
        ask(call, authorize_conditions(call, exports, MSG_RIGHT_READ));
}
