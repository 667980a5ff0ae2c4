#pragma once
/* Turns the outcome of a command into an HTTP answer, which is the same whether the outcome comes by a reply
 * or from the inbox. */

#include "gateway/http/call.h"

struct outcome {
    enum err status;      /* OK, or the refusal */
    int http_status;      /* 201, 200, 204 */
    int64_t version;      /* of the entity: its ETag */
    struct slice subject; /* the entity's id, as text; for Location */
    struct bytes *whole;  /* the bytes that hold the entity, to be shared; NULL: it is copied */
    struct slice entity;  /* JSON */
    struct slice refusal; /* {"detail":…,"errors":[{"pointer":…,"detail":…}],"version":…}; all optional */
};

/* Answers 201 with Location and ETag, 200 with ETag, 204, or the problem document; 412 with the present ETag. */
void outcome_answer(struct call *call, const struct outcome *outcome);

/* The answer, which is yet to be given, says that the command had run for an earlier request with the same
 * Idempotency-Key. */
void outcome_note_replay(struct call *call);

/* Answers 202 with Location: the command is safe and will run. `preferred`: the client asked for this answer
 * (RFC 7240 4.1). */
void outcome_answer_accepted(struct call *call, const struct uuid *command_id, bool preferred);
