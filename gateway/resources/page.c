#include "gateway/resources/page.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "gateway/http/schema_input.h"
#include "gateway/http/target.h"
#include "gateway/resources/cursor.h"
#include "gateway/resources/query.h"

static const struct slice opening = {"{\"data\":[", 9};

/* The characters that a URI reference in a header may hold, besides letters and digits. */
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

/* Adds a Link to the next page: the request's own query with another cursor. */
static void add_link(struct call *call, const char *cursor)
{
    CLEANUP(buf_done) struct buf link;
    buf_init(&link, 8192);
    buf_append_char(&link, '<');
    append_plain(&link, call->path);
    buf_append_char(&link, '?');
    for (struct slice pair, rest = call->query; (pair = target_next_pair(&rest)).data;) {
        if (pair.len >= 6 && memcmp(pair.data, "after=", 6) == 0)
            continue;
        append_plain(&link, pair);
        buf_append_char(&link, '&');
    }
    buf_printf(&link, "after=%s>; rel=\"next\"", cursor);
    if (!link.truncated)
        call_add_header(call, "Link", buf_slice(&link));
}

bool page_position(const struct db_result *result, int row, bool is_by_time, const struct cursor *like,
                   struct cursor *ret_cursor)
{
    struct cursor cursor = {.has_digest = like != NULL, .digest = like ? like->digest : 0};
    if (is_by_time) {
        cursor.created_us = db_int(result, row, 1);
    } else {
        cursor.text = db_text(result, row, 1);
        cursor.kind = cursor.text.data ? CURSOR_TEXT : CURSOR_NULL;
    }
    if (!uuid_parse(db_text(result, row, 2), &cursor.id))
        return false;
    *ret_cursor = cursor;
    return true;
}

static size_t put(char *at, struct slice s)
{
    memcpy(at, s.data, s.len);
    return s.len;
}

int page_entries(const struct db_result *result)
{
    int rows = db_rows(result);
    return rows > 0 && !db_text(result, rows - 1, 0).data ? rows - 1 : rows;
}

/* The entries of a page that are answered, one after the other. */
struct entries {
    const struct page *page;
    size_t at; /* result */
    int row;
    int64_t left;
};

static struct entries entries_of(const struct page *page)
{
    return (struct entries){.page = page, .left = page->limit};
}

/* Returns the result that has the next entry, in row `ret_row`; NULL: that was the last one. */
static const struct db_result *next_entry(struct entries *e, int *ret_row)
{
    while (e->at < e->page->result_count && e->row == page_entries(e->page->results[e->at])) {
        e->at++;
        e->row = 0;
    }
    if (e->at == e->page->result_count || e->left == 0)
        return NULL;
    e->left--;
    *ret_row = e->row++;
    return e->page->results[e->at];
}

/* The entries' JSON with commas between, then `closing`. Takes one allocation and one copy. */
static struct bytes *page_body(const struct page *page, struct slice closing)
{
    size_t size = opening.len + closing.len, count = 0;
    const struct db_result *result;
    int row;
    for (struct entries e = entries_of(page); (result = next_entry(&e, &row));)
        size += db_text(result, row, 0).len + (count++ > 0);
    char *at;
    struct bytes *body = bytes_new(size, &at);
    at += put(at, opening);
    for (struct entries e = entries_of(page); (result = next_entry(&e, &row));) {
        at += put(at, db_text(result, row, 0));
        if (--count > 0)
            *at++ = ',';
    }
    put(at, closing);
    return body;
}

enum ending { END_LAST, END_NEXT, END_PARTIAL };

/* How the page ends, and where the next one begins. */
static bool find_ending(const struct page *page, enum ending *ret_ending, struct cursor *ret_next)
{
    int64_t found = 0;
    const struct db_result *last = NULL, *result;
    int row, last_row = 0;
    for (struct entries e = entries_of(page); (result = next_entry(&e, &row)); found++) {
        last = result;
        last_row = row;
    }
    int64_t all = 0;
    for (size_t i = 0; i < page->result_count; i++)
        all += page_entries(page->results[i]);
    *ret_ending = END_LAST;
    if (all > page->limit) {
        *ret_ending = END_NEXT;
        return page_position(last, last_row, page->is_by_time || !page->like, page->like, ret_next);
    }
    if (page->stopped_at) {
        *ret_ending = found < page->limit ? END_PARTIAL : END_NEXT;
        *ret_next = *page->stopped_at;
    }
    return true;
}

void page_respond(struct call *call, const struct page *page)
{
    char closing[CURSOR_SIZE + 80], cursor[CURSOR_SIZE];
    enum ending ending;
    struct cursor next = {0};
    if (!find_ending(page, &ending, &next)) {
        call_fail(call, ERR_INTERNAL, NULL);
        return;
    }
    if (ending != END_LAST) {
        cursor_format(&next, cursor);
        add_link(call, cursor);
    }
    const char *quote = ending == END_LAST ? "" : "\"";
    struct slice count = page->count;
    if (count.data)
        call_add_header(call, "Preference-Applied", SLICE("count=exact"));
    int len = snprintf(closing, sizeof(closing), "],\"next\":%s%s%s%s%s%.*s}", quote,
                       ending == END_LAST ? "null" : cursor, quote,
                       ending == END_PARTIAL ? ",\"partial\":true" : "", count.data ? ",\"count\":" : "",
                       (int)count.len, count.data ? count.data : "");
    struct bytes *body = page_body(page, (struct slice){closing, (size_t)len});
    call_respond_shared(call, 200, "application/json", body, body->slice);
    bytes_unref(body);
}

/* ---- lists that are not of a resource ---- */

/* Reads `after` as a time and an id, in the call's memory; SLICE_NONE without it. False: the call has been
 * answered. */
static bool read_after(struct call *call, struct slice *ret_at, struct slice *ret_id)
{
    struct cursor cursor;
    char octets[CURSOR_OCTETS_MAX], at[CLOCK_TEXT_SIZE], id[UUID_TEXT_LEN + 1];
    struct slice text = call_query(call, "after");
    *ret_at = *ret_id = SLICE_NONE;
    if (!text.data)
        return true;
    if (cursor_parse(text, octets, &cursor) || cursor.has_digest) {
        struct msg_problem wrong = {.pointer = SLICE("?after"),
                                    .detail = SLICE("must be the `next` of an earlier page")};
        call_fail_fields(call, ERR_BAD_REQUEST, "The query does not fit this list.",
                         &(struct msg_problems){.first = &wrong, .last = &wrong, .count = 1});
        return false;
    }
    clock_format(cursor.created_us, at);
    uuid_format(&cursor.id, id);
    *ret_at = arena_copy(&call->arena, slice_of(at));
    *ret_id = arena_copy(&call->arena, slice_of(id));
    return true;
}

static int64_t limit_of(const struct call *call, const json_t *selection)
{
    const struct config *config = call->gateway->config;
    const json_t *limit = json_object_get(selection, "limit");
    int64_t wanted = limit ? json_integer_value(limit) : config->page_default;
    return wanted < config->page_max ? wanted : config->page_max;
}

static void on_page(struct call *call, struct db_result *result, void *context)
{
    const int64_t *limit = context;
    int entries = page_entries(result);
    struct page page = {.results = &result, .result_count = 1, .limit = *limit};
    struct cursor last = {0};
    if (entries < db_rows(result)) {
        if (!page_position(result, entries, true, NULL, &last)) {
            call_fail(call, ERR_INTERNAL, NULL);
            return;
        }
        page.stopped_at = &last;
    }
    page_respond(call, &page);
}

static void start(struct call *call, const struct page_list *list, const struct page_forced *forced,
                  bool is_operator)
{
    static const char *const others[] = {"after", NULL};
    CLEANUP(json_cleanup) json_t *selection = NULL;
    struct msg_problems problems = {.arena = &call->arena};
    struct slice params[PAGE_FILTERS_MAX + 3], at, id;
    char number[DB_NUMBER_SIZE];
    size_t count = 0;
    enum err err = schema_input_query(call, msg_request_by_name(slice_of(list->request))->object, others,
                                      &selection, &problems);
    if (err) {
        call_fail_fields(call, err, "The query does not fit this list.", &problems);
        return;
    }
    int64_t *limit = arena_alloc(&call->arena, sizeof(*limit));
    if (!limit) {
        call_fail(call, ERR_HEADERS_TOO_LARGE, NULL);
        return;
    }
    if (!read_after(call, &at, &id))
        return;
    *limit = limit_of(call, selection);
    if (forced)
        json_object_set_new(selection, forced->filter, json_string(forced->value));
    for (; count < PAGE_FILTERS_MAX && list->filters[count]; count++)
        params[count] = slice_of(json_string_value(json_object_get(selection, list->filters[count])));
    params[count++] = at;
    params[count++] = id;
    params[count++] = db_number(*limit + 1, number);
    if (is_operator)
        query_start_as_operator(call, &list->statement, params, count, on_page, limit);
    else
        query_start(call, QUERY_FRESH_LOOK, &list->statement, params, count, on_page, limit);
}

void page_start_as_operator(struct call *call, const struct page_list *list)
{
    start(call, list, NULL, true);
}

void page_start(struct call *call, const struct page_list *list, const struct page_forced *forced)
{
    start(call, list, forced, false);
}
