#pragma once
/* URLs of PostgreSQL, before libpq reads them: libpq's sentences say no place, and quote what may be a password. No I/O. */

#include <stdbool.h>

/* Whether the text may be postgresql://user:password@host:port/name?parameter=value with one or more hosts, or
 * libpq's "name=value name=value". On failure `why` gets the place, as a number of characters from the beginning,
 * and the reason; nothing of the text. */
bool database_url_check(const char *text, char why[256]);
