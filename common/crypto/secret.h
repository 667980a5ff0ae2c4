#pragma once
/* A secret in a column of a row: how it is bound to its place, and the text in which it rests, "KEY:SEALED". The id of the
 * key stands in front, so that rows of an old key are found without opening any. */

#include "common/base/uuid.h"
#include "common/crypto/seal.h"

/* Where a value is at home. It opens nowhere else. */
struct secret_place {
    const char *table, *column;
    struct uuid company, id;
};

/* Writes the context of the place into `text`, which the answer points into. */
struct slice secret_context(const struct secret_place *place, char text[static SEAL_CONTEXT_MAX]);

/* Appends the text in which the value rests. false: `out` is full, or the value is too long. */
bool secret_keep(const struct seal_keys *keys, const struct secret_place *place, struct slice value,
                 struct buf *out) MUST_CHECK;
/* Appends the value. false: the text is none, or its key is not there, or it is another place's. */
bool secret_open(const struct seal_keys *keys, const struct secret_place *place, struct slice kept,
                 struct buf *out) MUST_CHECK;

/* Appends the prefix and as many random octets in base64. */
bool secret_generate(const char *prefix, size_t octets, struct buf *out) MUST_CHECK;
