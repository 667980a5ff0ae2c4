#pragma once
/* What a worker made of a command, as an HTTP answer. It is the same whether it comes by a reply or from the
 * inbox. */

#include "gateway/http/call.h"

struct outcome {
    enum err status;      /* OK, or the refusal */
    int http_status;      /* 201, 200, 204 */
    int64_t version;      /* of the entity: its ETag */
    struct slice subject; /* the entity's id, as text; for Location */
    struct bytes *whole;  /* what the entity is a part of, to be shared; NULL: copied */
    struct slice entity;  /* JSON */
    struct slice refusal; /* {"detail":…,"errors":[{"pointer":…,"detail":…}]}; both optional */
};

/* 201 with Location and ETag, 200 with ETag, 204, or the problem. */
void outcome_answer(struct call *call, const struct outcome *outcome);

/* 202 with Location: the command is kept and will run (RFC 7240 4.1 where the client preferred it so). */
void outcome_answer_accepted(struct call *call, const struct uuid *command_id, bool preferred);
