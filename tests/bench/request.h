#pragma once
/* Requests that are written once and sent many times: the text is built up front, and only the places of
 * "{n}" change, which become 16 characters that no other request has (4 of the run, 12 digits that count). */

#include <stdint.h>

#include "common/base/buf.h"

enum { REQUEST_MARKS_MAX = 8, REQUEST_MARK_LEN = 16, REQUEST_RUN_LEN = 4 };

struct request {
    struct buf text;
    size_t marks[REQUEST_MARKS_MAX]; /* offsets of what {n} becomes */
    size_t mark_count;
};

struct request_parts {
    const char *method, *host, *path;
    const char *token;          /* bearer; NULL: none */
    const char *const *headers; /* "Name: value", NULL-terminated */
    const char *body;           /* NULL: none; sent as application/json */
};

void request_init(struct request *request, const struct request_parts *parts);
void request_done(struct request *request);

/* Fills the marks with `n` and returns the whole text. */
struct slice request_text(struct request *request, uint64_t n);
