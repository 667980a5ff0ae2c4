#include "tests/bench/request.h"

#include <err.h>
#include <stdio.h>

#include "common/base/uuid.h"

enum { REQUEST_MAX = 1 << 20, DIGITS = REQUEST_MARK_LEN - REQUEST_RUN_LEN };

static const char mark[] = "{n}";

/* Appends `text` with every {n} widened to its 16 characters, whose places are remembered. */
static void append(struct request *request, const char *text)
{
    const char *next;
    while ((next = strstr(text, mark))) {
        if (request->mark_count == REQUEST_MARKS_MAX)
            errx(2, "more than %d times %s in a request", REQUEST_MARKS_MAX, mark);
        buf_append(&request->text, text, (size_t)(next - text));
        request->marks[request->mark_count++] = buf_len(&request->text);
        buf_append(&request->text, "0000000000000000", REQUEST_MARK_LEN);
        text = next + sizeof(mark) - 1;
    }
    buf_append_text(&request->text, text);
}

static size_t widened_len(const char *text)
{
    size_t len = strlen(text);
    for (const char *next = text; (next = strstr(next, mark)); next += sizeof(mark) - 1)
        len += REQUEST_MARK_LEN - (sizeof(mark) - 1);
    return len;
}

void request_init(struct request *request, const struct request_parts *parts)
{
    *request = (struct request){0};
    buf_init(&request->text, REQUEST_MAX);
    append(request, parts->method);
    append(request, " ");
    append(request, parts->path);
    append(request, " HTTP/1.1\r\nHost: ");
    append(request, parts->host);
    append(request, "\r\n");
    if (parts->token)
        buf_printf(&request->text, "Authorization: Bearer %s\r\n", parts->token);
    for (const char *const *header = parts->headers; header && *header; header++) {
        append(request, *header);
        append(request, "\r\n");
    }
    if (parts->body)
        buf_printf(&request->text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                   widened_len(parts->body));
    append(request, "\r\n");
    if (parts->body)
        append(request, parts->body);
    if (request->text.truncated)
        errx(2, "a request of more than %d octets", REQUEST_MAX);

    struct uuid run = uuid_v7();
    for (size_t i = 0; i < request->mark_count; i++)
        for (size_t j = 0; j < REQUEST_RUN_LEN; j++)
            request->text.data[request->marks[i] + j] = (char)('a' + run.octet[12 + j] % 26);
}

void request_done(struct request *request)
{
    buf_done(&request->text);
}

struct slice request_text(struct request *request, uint64_t n)
{
    if (request->mark_count) {
        char digits[DIGITS];
        for (size_t i = DIGITS; i-- > 0; n /= 10)
            digits[i] = (char)('0' + n % 10);
        for (size_t i = 0; i < request->mark_count; i++)
            memcpy(request->text.data + request->marks[i] + REQUEST_RUN_LEN, digits, DIGITS);
    }
    return buf_slice(&request->text);
}
