#pragma once
/* Origins of web pages (RFC 6454): scheme, host and port. No I/O. */

#include "common/base/slice.h"

enum { ORIGIN_SIZE = 320 }; /* a scheme, a name of 253 characters, a port, and a NUL */

/* Writes the origin as browsers send it (RFC 6454 6.1): in lower case, and without a port that is the scheme's own.
 * One slash may stand behind it. SLICE_NONE: it is none: there is no scheme or no host, or there is a path, a user or
 * a character that no browser sends. "null" is one. */
struct slice origin_normalize(struct slice text, char out[ORIGIN_SIZE]);

/* Whether a page can have this origin, which was normalized: those of some schemes have none of their own and send "null",
 * and a host of numbers is sent as an IPv4 address of four. */
bool origin_is_of_pages(struct slice origin);

/* The host and port of an origin that was normalized: "app.example:8443". */
struct slice origin_authority(struct slice origin);

/* Takes the next entry off a list that is separated by blanks or commas; SLICE_NONE at the end. */
struct slice origin_next(struct slice *list);
