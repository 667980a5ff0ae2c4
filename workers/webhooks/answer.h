#pragma once
/* What the answer of a receiver means for a delivery, and for its endpoint. Pure. */

#include "common/base/buf.h"
#include "common/net/http_client.h"

enum { WEBHOOK_ERROR_SIZE = 256 };

struct webhook_attempted {
    int64_t attempts;     /* before this one */
    int64_t failed_tries; /* of the schedule, before this one */
    bool is_asked;        /* it uses up none */
    double chance;        /* from 0 to 1, for the schedule */
    int64_t now_s;        /* since 1970, for dates in answers */
};

struct webhook_verdict {
    bool is_success, is_slow;
    const char *end;    /* "delivered", "retrying", "exhausted", "failed" */
    const char *reason; /* why the endpoint is to be disabled; NULL: it is not */
    double again_s;     /* of "retrying"; else below 0 */
    char error[WEBHOOK_ERROR_SIZE];
};

/* 2xx is a success, whatever else is in it. `webhook-delivery: disable` and 410 end the endpoint, `abort-message` this delivery. */
void webhook_judge(const struct webhook_attempted *attempt, const struct http_answer *answer,
                   struct webhook_verdict *ret_verdict);

/* Appends at most `max` octets of what a receiver has said as a JSON string: what is no text is '?'. */
void webhook_append_text(struct buf *out, struct slice text, size_t max);
