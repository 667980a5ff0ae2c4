#pragma once
/* Request headers that say under which conditions, and how, a write is to be carried out. No I/O; the
 * functions get field values. */

#include "common/base/err.h"

enum { IDEMPOTENCY_KEY_MAX = 255 };

/* Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a structured string ("…" with \" and \\, RFC
 * 8941 3.3.3), or the same without quotes, of 1 to 255 printable characters. The key is written to `scratch`;
 * SLICE_NONE: the field is absent. ERR_BAD_REQUEST when it is malformed. */
enum err idempotency_key_parse(struct slice field, char scratch[IDEMPOTENCY_KEY_MAX],
                               struct slice *ret_key) MUST_CHECK;

/* If-Match (RFC 9110 13.1.1) with one strong tag. Version 0: the field is absent or "*", so any version will
 * do. ERR_BAD_REQUEST when it is malformed, weak or a list; ERR_VERSION_CONFLICT for a tag that no version of
 * ours has. */
enum err if_match_parse(struct slice field, int64_t *ret_version) MUST_CHECK;

/* Cortex-Run-At: a time (RFC 3339) at most `ahead_ms` after now_ms, as milliseconds since 1970; 0: the field
 * is absent. ERR_BAD_REQUEST, and what is wrong with it, otherwise. */
enum err run_at_parse(struct slice field, int64_t now_ms, int64_t ahead_ms, int64_t *ret_ms,
                      const char **ret_why) MUST_CHECK;

struct prefer {
    bool respond_async;
    bool has_wait;
    int64_t wait_s;
};

/* Reads one Prefer field (RFC 7240 2) into *prefer. Of a preference that is repeated the first counts. A
 * preference that is unknown or malformed is ignored, as the RFC demands. */
void prefer_parse(struct slice field, struct prefer *prefer);

/* Whether the media type, without its parameters, is the given one. */
bool media_type_is(struct slice content_type, const char *type);

/* Whether the field is a traceparent (W3C Trace Context 3.2): version, trace id, parent id and flags, in
 * lower-case hexadecimal. */
bool traceparent_is_valid(struct slice field);
