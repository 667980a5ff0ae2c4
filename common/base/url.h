#pragma once
/* What the readers of the settings' URLs share: they walk over the text, and say what is wrong at which character.
 * They never repeat the text, which has a password in it. No I/O. */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"

enum { URL_WHY_SIZE = 256 };

struct url_reading {
    const char *all; /* what the places count from */
    char *why;       /* URL_WHY_SIZE bytes */
};

/* Writes "character N: reason" and returns false. */
bool url_fail(const struct url_reading *r, const char *at, const char *reason);

/* How many bytes come before the first of `any`, and what comes after the first `len` bytes. */
size_t url_until(struct slice text, const char *any);
struct slice url_from(struct slice text, size_t len);

/* A number from 0 to `most`, all of it digits. */
bool url_number(struct slice text, long most, int *ret_number);

/* Fails at the first blank or control character. */
bool url_is_printable(const struct url_reading *r, struct slice text);

/* Decodes "%2f" and the like; `out` has room for text.len + 1 bytes, and gets a NUL behind what it is given. NULL where
 * a % is not followed by two digits, or by 00. Returns where the next text may go. */
char *url_decode(const struct url_reading *r, struct slice text, char *out);

/* Splits "host:port" into its parts; a literal keeps its brackets. No port: 0. */
bool url_host(const struct url_reading *r, struct slice authority, struct slice *ret_host, int *ret_port);

/* Calls take(arg, name, value) for each name=value of a query, whose '?' is gone, until one returns false. */
bool url_query(const struct url_reading *r, struct slice query,
               bool (*take)(void *arg, struct slice name, struct slice value), void *arg);
