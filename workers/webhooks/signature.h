#pragma once
/* Signatures after Standard Webhooks (https://www.standardwebhooks.com): over "id.timestamp.body", v1 by HMAC-SHA256,
 * v1a by Ed25519. No I/O. */

#include "common/base/buf.h"

enum { WEBHOOK_PUBLIC_KEY_SIZE = 64 };

struct webhook_signed {
    struct slice id, timestamp, body;
};

/* Appends "v1,…" by the secret, which is "whsec_" and 24 to 64 octets in base64; a text that is not is the key as it is. */
bool webhook_sign_v1(struct slice secret, const struct webhook_signed *content, struct buf *out) MUST_CHECK;
/* Appends "v1a,…". The private key follows from the secret: HMAC-SHA256 of "v1a" by its octets is its seed (RFC 8032). */
bool webhook_sign_v1a(struct slice secret, const struct webhook_signed *content, struct buf *out) MUST_CHECK;
/* Writes "whpk_" and the public key of these in base64. */
bool webhook_public_key(struct slice secret, char text[static WEBHOOK_PUBLIC_KEY_SIZE]) MUST_CHECK;
