#pragma once
/* A cursor is where a page ended: the value by which the list is sorted, and the id, of its last entry. It is text that
 * clients send back unchanged.
 *
 *   kind (1 octet)  digest (8)  id (16)  value (the microseconds: 8; a text: the rest; null: nothing)
 *
 * The digest says which list it belongs to: its order, its filters, its company. One of a list without digest is the
 * microseconds (8) and the id (16). So were all before there were digests. */

#include "common/base/err.h"
#include "common/base/uuid.h"

enum cursor_kind { CURSOR_TIME, CURSOR_TEXT, CURSOR_NULL };

struct cursor {
    int64_t created_us; /* since 1970: of CURSOR_TIME */
    struct slice text;  /* of CURSOR_TEXT */
    struct uuid id;
    enum cursor_kind kind;
    bool has_digest;
    uint64_t digest;
};

enum {
    CURSOR_LEN = 32,        /* of one of a list without digest: 24 octets in base64url (RFC 4648 5) */
    CURSOR_VALUE_MAX = 800, /* octets: 200 characters */
    CURSOR_OCTETS_MAX = 25 + CURSOR_VALUE_MAX,
    CURSOR_SIZE = (CURSOR_OCTETS_MAX * 4 + 2) / 3 + 1,
};

/* Writes it with a NUL behind it. A text is at most CURSOR_VALUE_MAX octets. */
void cursor_format(const struct cursor *cursor, char text[CURSOR_SIZE]);
/* Reads what cursor_format can have made, else ERR_BAD_REQUEST. `octets` keeps the text of the cursor. */
enum err cursor_parse(struct slice text, char octets[CURSOR_OCTETS_MAX],
                      struct cursor *ret_cursor) MUST_CHECK;
