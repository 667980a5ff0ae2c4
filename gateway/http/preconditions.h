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

/* The conditions of a write (RFC 9110 13.1): which versions of the entity it may change. A command carries one
 * version (envelope.h), so where several would do, the one that the entity has when the request arrives is looked
 * up and demanded. */
struct conditions {
    struct slice if_match, if_none_match; /* SLICE_NONE: absent */
    int64_t version;                      /* to be demanded; 0: any, CONDITIONS_NEVER: no version will do */
    bool needs_look; /* the version follows from the present one: conditions_after_look */
};

/* No entity has this version: the write ends with 412, or with 404 where there is nothing. */
#define CONDITIONS_NEVER INT64_MAX

/* What is wrong with malformed ones. */
#define CONDITIONS_DEMAND "If-Match and If-None-Match must be lists of entity tags, or *."

/* If-Match and If-None-Match, each as one list. A weak tag never satisfies If-Match. ERR_BAD_REQUEST: one of them
 * is malformed. */
enum err conditions_parse(struct slice if_match, struct slice if_none_match,
                          struct conditions *ret_conditions) MUST_CHECK;
int64_t conditions_after_look(const struct conditions *conditions, int64_t present_version);
/* Whether the conditions let something be changed that has this tag now. */
bool conditions_allow(const struct conditions *conditions, struct slice present_etag);

/* Cortex-Run-At: a time (RFC 3339) at most `ahead_ms` after now_ms, as milliseconds since 1970; 0: the field
 * is absent. ERR_BAD_REQUEST, and what is wrong with it, otherwise. */
enum err run_at_parse(struct slice field, int64_t now_ms, int64_t ahead_ms, int64_t *ret_ms,
                      const char **ret_why) MUST_CHECK;

struct prefer {
    bool respond_async;
    bool has_wait;
    int64_t wait_s;
    bool count_exact; /* "count=exact": of a list, how many entries it has */
};

/* Reads one Prefer field (RFC 7240 2) into *prefer. Of a preference that is repeated the first counts. A
 * preference that is unknown or malformed is ignored, as the RFC demands. */
void prefer_parse(struct slice field, struct prefer *prefer);

/* Whether the media type, without its parameters, is the given one. */
bool media_type_is(struct slice content_type, const char *type);

/* Whether the field is a traceparent (W3C Trace Context 3.2): version, trace id, parent id and flags, in
 * lower-case hexadecimal. */
bool traceparent_is_valid(struct slice field);
