#pragma once
/* Which commands an event becomes, by the mapping of its source (hook_source.json).
 *
 *   rules whose `event` is the event's name, or "*" ── fields from the body, or constants ──▶ a command each
 *                                                  └─ what does not fit ──▶ a reason, and no command
 *
 * The id of a command follows from the event and the name of the rule: the same event is mapped again, by a replay or by
 * a worker that has died in between, to commands that have run already. */

#include "common/base/uuid.h"
#include "common/hooks/content.h"
#include "common/msg/msg.h"

/* What is known of the source. `json` has its members type, mapping, event_header and event_pointer. */
struct hook_facts {
    const json_t *source;
    struct slice event;    /* its name; SLICE_NONE: it has none */
    const json_t *content; /* NULL: the body cannot be read, and `unreadable` says why */
    const char *unreadable;
    struct uuid id, company; /* of the event */
};

/* What becomes of an event; the caller owns the arrays (hook_outcome_done). */
struct hook_outcome {
    const char *status; /* "mapped", "unmapped", "failed" */
    json_t *commands;   /* [{"id", "type", "rule"}] */
    json_t *reasons;    /* [{"rule", "pointer", "detail"}] */
    /* [{"id", "type", "subject", "parent", "pool", "fingerprint", "body": msgpack in base64, "shown": the body}] */
    json_t *made;
};

void hook_map(const struct hook_facts *facts, struct hook_outcome *ret_outcome);
void hook_outcome_done(struct hook_outcome *outcome);

/* The name of an event: by event_header or event_pointer, else by what the type says. `header` gives the value of a
 * header, SLICE_NONE when absent. The answer points into the headers or into `content`. */
struct slice hook_event_name(const json_t *source, const json_t *content,
                             struct slice (*header)(void *arg, const char *name), void *arg);

/* Complains about what a source names and there is not: commands, fields, and pointers that are none. `source`: the body of a
 * create or of an update; members that do not fit the schema are left to that. */
void hook_source_check(const json_t *source, struct msg_problems *problems);
