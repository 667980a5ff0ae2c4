#pragma once
/* Whether a webhook is signed by its source. Pure functions: headers and octets go in. */

#include <stdint.h>

#include "common/base/slice.h"
#include "common/crypto/mac.h"

enum hook_type {
    HOOK_STRIPE,
    HOOK_GITHUB,
    HOOK_SLACK,
    HOOK_SHOPIFY,
    HOOK_STANDARD,
    HOOK_HMAC,
    HOOK_BASIC,
    HOOK_BEARER,
    HOOK_TYPES
};

enum { HOOK_SECRETS_MAX = 2, HOOK_TOLERANCE_S = 300 };

/* How a source signs. */
struct hook_signing {
    enum hook_type type;
    enum mac_hash hash; /* this and what follows: of HOOK_HMAC */
    bool is_base64;
    const char *signature_header;
    const char *prefix;                     /* NULL: none */
    const char *timestamp_header;           /* NULL: the time is not signed */
    struct slice secrets[HOOK_SECRETS_MAX]; /* one that is SLICE_NONE signs nothing */
};

/* A request. `header` gives the value of a header that was sent once; SLICE_NONE otherwise. */
struct hook_request {
    struct slice (*header)(void *arg, const char *name);
    void *arg;
    struct slice body;
    int64_t now_s;
};

bool hook_type_of(const char *name, enum hook_type *ret_type);
bool hook_is_signed(const struct hook_signing *signing, const struct hook_request *request);
