#include "gateway/http/access_log.h"

#include "common/base/clock.h"
#include "gateway/http/router.h"
#include "gateway/net/conn.h"

enum { PATH_MAX_LOGGED = 256 };

/* What is known of a request. */
struct entry {
    const char *method;
    const struct route *route;
    struct slice path;
    int status;
    int64_t began_us;
    struct uuid company, user;
    bool is_known; /* company and user are */
    char correlation_id[UUID_TEXT_LEN + 1];
};

/* The part of an entry that outlives its call. */
struct stream {
    struct conn_record record;
    struct entry entry;
    const char *protocol;
};

static const char *method_name(const struct call *call, bool is_read)
{
    static const char *const names[] = {
        [METHOD_GET] = "GET",     [METHOD_HEAD] = "HEAD",       [METHOD_POST] = "POST",
        [METHOD_PUT] = "PUT",     [METHOD_PATCH] = "PATCH",     [METHOD_DELETE] = "DELETE",
        [METHOD_OTHER] = "other", [METHOD_OPTIONS] = "OPTIONS",
    };
    return is_read ? names[call->method] : NULL;
}

static void identify(struct entry *entry, const struct identity *identity)
{
    entry->is_known = identity->role[0] != '\0';
    entry->company = identity->company;
    entry->user = identity->user;
}

static struct entry entry_of(const struct call *call, bool is_read, int status)
{
    struct entry entry = {.method = method_name(call, is_read),
                          .route = call->route,
                          .path = call->path,
                          .status = status,
                          .began_us = call->began_us};
    identify(&entry, &call->identity);
    memcpy(entry.correlation_id, call->correlation_id, sizeof(entry.correlation_id));
    return entry;
}

static const char *uuid_text(const struct entry *entry, const struct uuid *uuid, char text[UUID_TEXT_LEN + 1])
{
    if (!entry->is_known)
        return NULL;
    uuid_format(uuid, text);
    return text;
}

/* A path is what the client has sent. */
static struct log_field route_or_path(const struct entry *entry)
{
    struct slice path = entry->path;
    if (path.len > PATH_MAX_LOGGED)
        path.len = PATH_MAX_LOGGED;
    return entry->route ? LOG_P("route", entry->route->pattern) : LOG_B("path", path);
}

/* A stream has a protocol besides. */
static void write_entry(const struct entry *entry, enum log_level level, int64_t now_us, uint64_t octets,
                        const char *peer, const char *protocol)
{
    char company[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    const struct log_field fields[] = {
        {0},
        LOG_P("method", entry->method),
        route_or_path(entry),
        LOG_I("status", entry->status),
        LOG_MS("duration_ms", now_us - entry->began_us),
        LOG_I("bytes", octets),
        LOG_P("company", uuid_text(entry, &entry->company, company)),
        LOG_P("user", uuid_text(entry, &entry->user, user)),
        LOG_P("correlation", entry->correlation_id),
        LOG_P("peer", peer),
        LOG_P("protocol", protocol),
    };
    size_t count = ARRAY_LEN(fields) - 1 - !protocol;
    if (log_access_is_on())
        log_access_put(level, now_us, "http.answered", fields, count);
    else
        log_write(level, "http.answered", fields, count);
}

/* Without lines of requests, a 500 is a line of its own. */
static bool is_wanted(enum log_level level, int64_t now_us)
{
    return log_access_is_on() ? log_access_takes(level, now_us, "http.answered") : level >= log_threshold;
}

/* A 500 is a fault of ours. That a server is away is logged by the part that lost it, not for every request. */
static enum log_level level_of(const struct call *call, int status, int64_t now_us)
{
    int64_t slow_us = call->gateway->config->slow_ms * 1000;
    bool is_slow = !call->asks_to_wait && now_us - call->began_us >= slow_us;
    return status == 500 || is_slow ? LOG_WARN : LOG_INFO;
}

void access_log_answer(const struct call *call, bool is_read, int status, size_t octets)
{
    if (status != 500 && !log_access_is_on())
        return;
    int64_t now_us = clock_monotonic_us();
    enum log_level level = level_of(call, status, now_us);
    if (!is_wanted(level, now_us))
        return;
    const struct entry entry = entry_of(call, is_read, status);
    write_entry(&entry, level, now_us, octets, call->conn ? conn_peer(call->conn) : "rpc", NULL);
}

static void on_ended(struct conn *conn, struct conn_record *record)
{
    struct stream *stream = CONTAINER_OF(record, struct stream, record);
    int64_t now_us = clock_monotonic_us();
    if (is_wanted(LOG_INFO, now_us))
        write_entry(&stream->entry, LOG_INFO, now_us, record->sent, conn_peer(conn), stream->protocol);
    free(stream);
}

void access_log_stream(const struct call *call, int status)
{
    if (!log_access_is_on() || log_threshold > LOG_INFO)
        return;
    struct stream *stream = xcalloc(1, sizeof(*stream));
    stream->record.on_ended = on_ended;
    stream->entry = entry_of(call, true, status);
    stream->protocol = conn_protocol_name(call->conn);
    conn_keep_record(call->conn, &stream->record);
}

void access_log_identify(struct conn *conn, const struct identity *identity)
{
    struct conn_record *record = conn_record_of(conn);
    if (record)
        identify(&CONTAINER_OF(record, struct stream, record)->entry, identity);
}
