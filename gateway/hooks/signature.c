#include "gateway/hooks/signature.h"

#include "common/base/base64.h"
#include "common/base/hex.h"

enum { KEY_MAX = 512, TEXT_MAX = 4096, SIGNATURES_MAX = 16, DIGITS_MAX = 12 };

static const char *const type_names[HOOK_TYPES] = {
    [HOOK_STRIPE] = "stripe",   [HOOK_GITHUB] = "github",     [HOOK_SLACK] = "slack",
    [HOOK_SHOPIFY] = "shopify", [HOOK_STANDARD] = "standard", [HOOK_HMAC] = "hmac",
    [HOOK_BASIC] = "basic",     [HOOK_BEARER] = "bearer",
};

bool hook_type_of(const char *name, enum hook_type *ret_type)
{
    for (size_t i = 0; name && i < HOOK_TYPES; i++)
        if (strcmp(type_names[i], name) == 0) {
            *ret_type = (enum hook_type)i;
            return true;
        }
    return false;
}

static struct slice header(const struct hook_request *request, const char *name)
{
    return request->header(request->arg, name);
}

/* ---- parts of headers ---- */

/* Whether the text is a time in seconds that is near enough to ours. */
static bool is_timely(const struct hook_request *request, struct slice text)
{
    int64_t time = 0;
    if (text.len == 0 || text.len > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        time = time * 10 + (text.data[i] - '0');
    }
    int64_t ahead = time - request->now_s;
    return ahead <= HOOK_TOLERANCE_S && ahead >= -HOOK_TOLERANCE_S;
}

static bool take_prefix(struct slice *text, const char *prefix)
{
    size_t len = prefix ? strlen(prefix) : 0;
    if (text->len < len || (len > 0 && memcmp(text->data, prefix, len) != 0))
        return false;
    *text = (struct slice){text->data + len, text->len - len};
    return true;
}

/* Takes what stands before the next separator from the front. false: there is nothing left. */
static bool take_part(struct slice *rest, char separator, struct slice *ret_part)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->data, separator, rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len, used = end ? len + 1 : len;
    *ret_part = (struct slice){rest->data, len};
    *rest = (struct slice){rest->data + used, rest->len - used};
    return true;
}

/* ---- codes ---- */

/* The octets that a signature is, written in one of the two ways; length 0: it is none. */
static struct slice octets_of(struct slice text, bool is_base64, char octets[TEXT_MAX])
{
    size_t len = 0;
    if (text.len > 2 * MAC_SIZE_MAX)
        return SLICE("");
    if (is_base64)
        return base64_decode(text, octets, &len) ? (struct slice){octets, len} : SLICE("");
    return hex_decode(text, octets) ? (struct slice){octets, text.len / 2} : SLICE("");
}

/* Whether the signature is the code of the parts under one of the secrets. */
static bool is_code(const struct hook_signing *signing, enum mac_hash hash, bool is_base64, struct slice text,
                    const struct slice *parts, size_t count)
{
    char octets[TEXT_MAX];
    uint8_t code[MAC_SIZE_MAX];
    bool is_right = false;
    struct slice given = octets_of(text, is_base64, octets);
    for (size_t i = 0; i < HOOK_SECRETS_MAX; i++) {
        if (!signing->secrets[i].data)
            continue;
        size_t len = mac_sign(hash, signing->secrets[i], parts, count, code);
        is_right |= len > 0 && mac_equal((struct slice){(const char *)code, len}, given);
    }
    return is_right;
}

/* ---- the types ---- */

/* "t=TIME,v1=HEX,v1=HEX,v0=…": TIME.BODY. */
static bool is_of_stripe(const struct hook_signing *signing, const struct hook_request *request)
{
    struct slice rest = header(request, "stripe-signature"), part, time = SLICE_NONE;
    struct slice signatures[SIGNATURES_MAX];
    size_t count = 0;
    while (take_part(&rest, ',', &part)) {
        if (take_prefix(&part, "t="))
            time = part;
        else if (take_prefix(&part, "v1=") && count < SIGNATURES_MAX)
            signatures[count++] = part;
    }
    if (!time.data || !is_timely(request, time))
        return false;
    const struct slice parts[] = {time, SLICE("."), request->body};
    bool is_right = false;
    for (size_t i = 0; i < count; i++)
        is_right |= is_code(signing, MAC_SHA256, false, signatures[i], parts, ARRAY_LEN(parts));
    return is_right;
}

static bool is_of_github(const struct hook_signing *signing, const struct hook_request *request)
{
    struct slice text = header(request, "x-hub-signature-256");
    return text.data && take_prefix(&text, "sha256=") &&
           is_code(signing, MAC_SHA256, false, text, &request->body, 1);
}

static bool is_of_slack(const struct hook_signing *signing, const struct hook_request *request)
{
    struct slice text = header(request, "x-slack-signature"),
                 time = header(request, "x-slack-request-timestamp");
    const struct slice parts[] = {SLICE("v0:"), time, SLICE(":"), request->body};
    return text.data && take_prefix(&text, "v0=") && is_timely(request, time) &&
           is_code(signing, MAC_SHA256, false, text, parts, ARRAY_LEN(parts));
}

static bool is_of_shopify(const struct hook_signing *signing, const struct hook_request *request)
{
    struct slice text = header(request, "x-shopify-hmac-sha256");
    return text.data && is_code(signing, MAC_SHA256, true, text, &request->body, 1);
}

/* The secrets are keys in base64, behind a word; a secret that is not is a key as it stands. */
static void read_keys(struct hook_signing *signing, char keys[HOOK_SECRETS_MAX][KEY_MAX])
{
    for (size_t i = 0; i < HOOK_SECRETS_MAX; i++) {
        struct slice text = signing->secrets[i];
        size_t len = 0;
        if (text.data && take_prefix(&text, "whsec_") && text.len <= KEY_MAX &&
            base64_decode(text, keys[i], &len))
            signing->secrets[i] = (struct slice){keys[i], len};
    }
}

/* "v1,BASE64 v1,BASE64 v1a,…": ID.TIME.BODY. */
static bool is_of_standard(const struct hook_signing *signing, const struct hook_request *request)
{
    char keys[HOOK_SECRETS_MAX][KEY_MAX];
    struct hook_signing with_keys = *signing;
    bool is_svix = !header(request, "webhook-id").data;
    struct slice id = header(request, is_svix ? "svix-id" : "webhook-id");
    struct slice time = header(request, is_svix ? "svix-timestamp" : "webhook-timestamp");
    struct slice rest = header(request, is_svix ? "svix-signature" : "webhook-signature"), part;
    const struct slice parts[] = {id, SLICE("."), time, SLICE("."), request->body};
    bool is_right = false;
    if (!id.data || !rest.data || !is_timely(request, time))
        return false;
    read_keys(&with_keys, keys);
    for (size_t i = 0; i < SIGNATURES_MAX && take_part(&rest, ' ', &part); i++)
        is_right |=
            take_prefix(&part, "v1,") && is_code(&with_keys, MAC_SHA256, true, part, parts, ARRAY_LEN(parts));
    return is_right;
}

static bool is_of_hmac(const struct hook_signing *signing, const struct hook_request *request)
{
    struct slice text = header(request, signing->signature_header ? signing->signature_header : "");
    struct slice time = signing->timestamp_header ? header(request, signing->timestamp_header) : SLICE_NONE;
    const struct slice parts[] = {time, SLICE("."), request->body};
    size_t first = signing->timestamp_header ? 0 : 2;
    if (!text.data || !take_prefix(&text, signing->prefix) ||
        (signing->timestamp_header && !is_timely(request, time)))
        return false;
    return is_code(signing, signing->hash, signing->is_base64, text, parts + first, ARRAY_LEN(parts) - first);
}

/* ---- passwords and tokens ---- */

static bool is_secret(const struct hook_signing *signing, struct slice given)
{
    bool is_right = false;
    for (size_t i = 0; i < HOOK_SECRETS_MAX; i++)
        is_right |= signing->secrets[i].data && mac_equal(signing->secrets[i], given);
    return is_right;
}

/* What follows the scheme in Authorization. */
static struct slice credentials(const struct hook_request *request, struct slice scheme)
{
    struct slice value = header(request, "authorization");
    if (!value.data || value.len <= scheme.len || strncasecmp(value.data, scheme.data, scheme.len) != 0)
        return SLICE_NONE;
    size_t at = scheme.len;
    while (at < value.len && value.data[at] == ' ')
        at++;
    return at > scheme.len ? (struct slice){value.data + at, value.len - at} : SLICE_NONE;
}

static bool is_of_basic(const struct hook_signing *signing, const struct hook_request *request)
{
    char octets[TEXT_MAX];
    size_t len = 0;
    struct slice text = credentials(request, SLICE("Basic"));
    return text.data && text.len <= TEXT_MAX && base64_decode(text, octets, &len) &&
           is_secret(signing, (struct slice){octets, len});
}

static bool is_of_bearer(const struct hook_signing *signing, const struct hook_request *request)
{
    struct slice text = credentials(request, SLICE("Bearer"));
    return text.data && is_secret(signing, text);
}

bool hook_is_signed(const struct hook_signing *signing, const struct hook_request *request)
{
    static bool (*const types[HOOK_TYPES])(const struct hook_signing *, const struct hook_request *) = {
        [HOOK_STRIPE] = is_of_stripe,   [HOOK_GITHUB] = is_of_github,     [HOOK_SLACK] = is_of_slack,
        [HOOK_SHOPIFY] = is_of_shopify, [HOOK_STANDARD] = is_of_standard, [HOOK_HMAC] = is_of_hmac,
        [HOOK_BASIC] = is_of_basic,     [HOOK_BEARER] = is_of_bearer,
    };
    return types[signing->type](signing, request);
}
