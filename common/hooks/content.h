#pragma once
/* The body of a webhook as a JSON value: JSON, or a form (application/x-www-form-urlencoded), whose members become texts.
 * Of a form with the one member that GitHub and Slack send, payload, it is the JSON in that. */

#include <jansson.h>

#include "common/base/err.h"
#include "common/base/slice.h"

enum { HOOK_DEPTH_MAX = 64, HOOK_FORM_MEMBERS_MAX = 1000 };

/* The caller owns *ret_json. ERR_BAD_REQUEST: `why` has a sentence. A body without a type is read as JSON. */
enum err hook_content_read(struct slice content_type, struct slice body, json_t **ret_json,
                           char why[static 160]) MUST_CHECK;

/* What the pointer (RFC 6901) points to; NULL: nothing. Borrowed from `json`. */
const json_t *hook_pointer_find(const json_t *json, struct slice pointer);
/* "" or "/…", in which each ~ is followed by 0 or 1. */
bool hook_pointer_is_valid(struct slice pointer);
