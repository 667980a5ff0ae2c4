#pragma once
/* Checks of the formats that a schema may name. The limits of PostgreSQL count too, so a value that passes
 * can be stored. */

#include "common/msg/msg.h"

/* MSG_FORMAT_NONE accepts everything. */
bool msg_format_accepts(enum msg_format format, struct slice text);

/* Returns "must be a UUID": what a value of another form is told. */
const char *msg_format_demand(enum msg_format format);

/* Returns the name in a schema, such as "uuid"; NULL for MSG_FORMAT_NONE. */
const char *msg_format_name(enum msg_format format);
bool msg_format_from_name(const char *name, enum msg_format *ret_format);

/* Reads a "date-time" as milliseconds since 1970. Finer fractions are cut off, and a leap second counts as
 * the second after it. */
bool msg_format_read_time(struct slice text, int64_t *ret_ms);

/* format_uri.c: whether the text is an absolute URI (RFC 3986 section 3). */
bool msg_format_is_uri(struct slice text);
/* format_email.c: whether the text is a mailbox (RFC 5321 section 4.1.2). */
bool msg_format_is_email(struct slice text);
/* Four octets in decimal, without leading zeros (RFC 3986 IPv4address). */
bool msg_format_is_ipv4(struct slice text);
/* RFC 4291 section 2.2 without a zone. */
bool msg_format_is_ipv6(struct slice text);
