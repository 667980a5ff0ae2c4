#pragma once
/* Remembers refused tokens for a few seconds, so that a client that sends the same wrong token again and again
 * costs no signature each time. It keeps a keyed hash of each (auth.c) and not the token. A token may be
 * refused for a reason that passes (not valid yet; a key that is still to come), which is why it is remembered
 * only briefly. */

#include <stddef.h>
#include <stdint.h>

enum { REFUSED_SETS = 512, REFUSED_WAYS = 4, REFUSED_S = 5 };

struct refused_token {
    uint64_t hash; /* 0: empty */
    size_t len;
    int64_t until_s;
    const char *why; /* constant text */
};

struct refused_tokens {
    uint8_t next_way[REFUSED_SETS];
    struct refused_token table[REFUSED_SETS][REFUSED_WAYS];
};

/* now_s: monotonic. NULL: it is not remembered. The entry is valid until the next call. */
const struct refused_token *refused_find(const struct refused_tokens *refused, uint64_t hash, size_t len,
                                         int64_t now_s);
void refused_add(struct refused_tokens *refused, uint64_t hash, size_t len, int64_t now_s, const char *why);
