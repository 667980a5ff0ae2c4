#pragma once
/* What is due, and what is written of an outcome (workers/engine/outgoing/kind.h). */

extern const char webhooks_due[], webhooks_record[];

/* The columns of an act. */
enum {
    WEBHOOK_URL,
    WEBHOOK_HEADERS,       /* JSON: [{"name", "value"}] */
    WEBHOOK_SIGNATURE,     /* "v1" or "v1a" */
    WEBHOOK_SECRET,        /* sealed */
    WEBHOOK_SECRET_BEFORE, /* sealed; NULL: there is none, or its time is over */
    WEBHOOK_PUBLIC_KEY,    /* as it is known; NULL: not yet */
    WEBHOOK_ATTEMPTS,
    WEBHOOK_FAILED_TRIES, /* of the schedule, before this one */
    WEBHOOK_IS_ASKED,     /* it uses up none */
    WEBHOOK_BODY,         /* NULL: the event is gone */
    WEBHOOK_COLUMNS,
};

/* An outcome is a JSON object:
 *   n       which attempt it was, from 1
 *   end     "delivered", "retrying" (there is another attempt, after `after` seconds), "exhausted", "failed"
 *   code, error, took, response, key (the public key, when it is new), reason (why the endpoint is to be disabled) */
