/* GET /v1/exports/{id}/content: the pieces that the job has stored, one after the other. A piece is read when
 * the socket has taken the one before. So a slow client costs the memory of one piece, and no connection to
 * the database.
 *
 *   the export's row ─▶ head ─▶ query ─ piece ─▶ write ─ taken ─▶ query … the last piece ─▶ closed
 *
 * The head has the file's length, so a client that gets less knows that the file was cut.
 */

#include "gateway/resources/export_content.h"

#include <stdio.h>

#include "gateway/auth/revocations.h"
#include "gateway/http/response.h"
#include "gateway/net/conn.h"
#include "gateway/resources/query.h"

enum { STATUS, RESOURCE, FORMAT, BYTES, PIECES, IS_EXPIRED, DAY };

static const struct db_statement find = {
    "read.export_content",
    "SELECT status, resource, format, bytes, pieces, expires_at < now(),"
    " to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM export WHERE company_id = $1 AND id = $2"};

static const struct db_statement read_piece = {
    "read.export_piece",
    "SELECT content FROM export_piece WHERE company_id = $1 AND export_id = $2 AND n = $3"};

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
    int64_t next, pieces;
    struct pool_query *query; /* NULL: none has been sent and not answered */
};

static void read_next(struct download *download);

static void on_piece(void *arg, struct db_result *result)
{
    struct download *download = arg;
    struct conn *conn = download->conn;
    download->query = NULL;
    if (db_result_error(result) ||
        db_rows(result) == 0) { /* the database failed, or the export has just expired */
        log_warn("export.content_cut", LOG_S("export", download->id), LOG_I("piece", download->next),
                 LOG_S("error", err_info(db_result_error(result))->name));
        conn_abort(conn);
        return;
    }
    struct bytes *content = db_share(result, 0, 0);
    conn_write_shared(conn, content);
    bytes_unref(content);
    download->next++;
    read_next(download);
}

/* Does nothing while the socket is congested: on_bytes is called when it has taken some output. */
static void read_next(struct download *download)
{
    if (download->query || conn_is_congested(download->conn))
        return;
    if (download->next == download->pieces) {
        conn_close(download->conn);
        return;
    }
    char n[24];
    int len = snprintf(n, sizeof(n), "%lld", (long long)download->next);
    const struct slice params[] = {slice_of(download->company), slice_of(download->id), {n, (size_t)len}};
    const struct db_query query = {.kind = DB_QUERY_EXPENSIVE,
                                   .expects_row = true,
                                   .company = params[0],
                                   .statement = &read_piece,
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

static void begin(struct call *call, struct db_result *result, const char *media)
{
    char lines[512];
    struct slice resource = db_text(result, 0, RESOURCE), format = db_text(result, 0, FORMAT),
                 day = db_text(result, 0, DAY);
    int len = snprintf(lines, sizeof(lines),
                       "Content-Type: %s\r\nContent-Length: %lld\r\n"
                       "Content-Disposition: attachment; filename=\"%.*ss-%.*s.%.*s\"\r\n",
                       media, (long long)db_int(result, 0, BYTES), (int)resource.len, resource.data,
                       (int)day.len, day.data, (int)format.len, format.data);
    struct download *download = xcalloc(1, sizeof(*download));
    download->conn = call->conn;
    download->gateway = call->gateway;
    download->identity = call->identity;
    download->pieces = call->method == METHOD_HEAD ? 0 : db_int(result, 0, PIECES);
    uuid_format(&call->identity.company, download->company);
    snprintf(download->id, sizeof(download->id), "%.*s", (int)call->params[0].len, call->params[0].data);
    response_stream(call, (struct slice){lines, (size_t)len}, &protocol, download);
    read_next(download);
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

void read_export_content(struct call *call)
{
    if (!call->conn) /* a request over a WebSocket: a file does not fit into a message */
        call_fail(call, ERR_NOT_IMPLEMENTED, NULL);
    else
        query_start(call, QUERY_FRESH, &find, call->params, 1, on_export, NULL);
}
