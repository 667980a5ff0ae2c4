#pragma once
/* A cursor is where a page ended: the (created_at, id) of its last entry, as text that clients send back
 * unchanged. */

#include "common/base/err.h"
#include "common/base/uuid.h"

struct cursor {
    int64_t created_us; /* since 1970 */
    struct uuid id;
};

enum { CURSOR_LEN = 32 }; /* 24 octets in base64url (RFC 4648 5) */

void cursor_format(const struct cursor *cursor, char text[CURSOR_LEN + 1]);
/* ERR_BAD_REQUEST for a text that cursor_format cannot have made. */
enum err cursor_parse(struct slice text, struct cursor *ret_cursor) MUST_CHECK;
