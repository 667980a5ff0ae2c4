#include "gateway/read/page.h"

#include <stdio.h>

#include "gateway/read/cursor.h"

static const struct slice opening = {"{\"data\":[", 9};

/* What a URI reference in a header may hold besides letters and digits. */
static const char plain[] = "-._~%!$'()*+,;=:@/?&";

static void append_plain(struct buf *link, struct slice raw)
{
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.data[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                        (c && strchr(plain, c));
        if (is_plain)
            buf_append_char(link, (char)c);
        else
            buf_printf(link, "%%%02X", c);
    }
}

/* The request's own query with another cursor. */
static void add_link(struct call *call, const char *cursor)
{
    CLEANUP(buf_done) struct buf link;
    buf_init(&link, 8192);
    buf_append_char(&link, '<');
    append_plain(&link, call->path);
    buf_append_char(&link, '?');
    for (struct slice rest = call->query; rest.len > 0;) {
        const char *end = memchr(rest.data, '&', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len;
        bool is_cursor = len >= 6 && memcmp(rest.data, "after=", 6) == 0;
        if (len > 0 && !is_cursor) {
            append_plain(&link, (struct slice){rest.data, len});
            buf_append_char(&link, '&');
        }
        size_t step = end ? len + 1 : len;
        rest = (struct slice){rest.data + step, rest.len - step};
    }
    buf_printf(&link, "after=%s>; rel=\"next\"", cursor);
    if (!link.truncated)
        call_add_header(call, "Link", buf_slice(&link));
}

static size_t put(char *at, struct slice s)
{
    memcpy(at, s.data, s.len);
    return s.len;
}

/* The rows' JSON between commas, then what closes it; one allocation, one copy. */
static struct bytes *page_body(const struct db_result *result, int rows, struct slice closing)
{
    size_t size = opening.len + closing.len;
    for (int row = 0; row < rows; row++)
        size += db_text(result, row, 0).len + (row > 0);
    char *at;
    struct bytes *body = bytes_new(size, &at);
    at += put(at, opening);
    for (int row = 0; row < rows; row++) {
        if (row > 0)
            *at++ = ',';
        at += put(at, db_text(result, row, 0));
    }
    put(at, closing);
    return body;
}

void page_respond(struct call *call, const struct db_result *result, int64_t limit)
{
    char closing[64];
    char cursor[CURSOR_LEN + 1];
    int rows = db_rows(result);
    bool has_next = rows > limit;
    if (has_next) {
        rows = (int)limit;
        struct cursor last = {.created_us = db_int(result, rows - 1, 1)};
        if (!uuid_parse(db_text(result, rows - 1, 2), &last.id)) {
            call_fail(call, ERR_INTERNAL, NULL);
            return;
        }
        cursor_format(&last, cursor);
        add_link(call, cursor);
    }
    int len = has_next ? snprintf(closing, sizeof(closing), "],\"next\":\"%s\"}", cursor)
                       : snprintf(closing, sizeof(closing), "],\"next\":null}");
    struct bytes *body = page_body(result, rows, (struct slice){closing, (size_t)len});
    call_respond_shared(call, 200, "application/json", body, body->slice);
    bytes_unref(body);
}
