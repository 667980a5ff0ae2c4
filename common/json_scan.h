#pragma once
/* The lexical half of the JSON reader: spaces, strings, numbers, and where something went wrong. */

#include <jansson.h>

#include "common/slice.h"

struct json_scan {
    const char *begin, *at, *end;
    const char *fault; /* what is wrong at `at`; NULL: nothing yet. The first fault is kept */
    const char *fault_at;
};

/* A string without its quotes: part of the text, or, where it had escapes, memory of its own. */
struct json_text {
    struct slice value;
    char *owned;
};
void json_text_done(struct json_text *text);

/* Always false: for `return json_scan_fail(…)`. */
bool json_scan_fail(struct json_scan *scan, const char *at, const char *what);

static inline void json_scan_space(struct json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

/* The next octet that is no space; '\0' at the end of the text (and for the octet 0, which nothing begins with). */
static inline char json_scan_peek(struct json_scan *scan)
{
    json_scan_space(scan);
    return scan->at < scan->end ? *scan->at : '\0';
}

/* Takes that octet when it is `c`. */
static inline bool json_scan_take(struct json_scan *scan, char c)
{
    bool is_next = json_scan_peek(scan) == c;
    scan->at += is_next;
    return is_next;
}

/* From the opening quote on. */
bool json_scan_string(struct json_scan *scan, struct json_text *ret_text);

/* From the sign or first digit on; NULL after a fault. */
json_t *json_scan_number(struct json_scan *scan);

/* "true" */
bool json_scan_word(struct json_scan *scan, struct slice word);
