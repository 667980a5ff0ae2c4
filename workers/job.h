#pragma once
/* One command on its way through this process, from its delivery to its ack.
 *
 *   delivery ─▶ intake ─▶ batch ─▶ outbox ─▶ ack, or reject to the dead letters
 *                  ▲        │
 *                  └─ RETRY ┘   (after a rest; in the end: reject, back to the queue)
 *
 * A job owns copies of everything it needs: the delivery, and the connection that brought it, may be long
 * gone when it ends. */

#include <ev.h>

#include "common/arena.h"
#include "common/envelope.h"

struct handler;
struct job;
struct outbox;

#define EFFECTS_MAX 16 /* of one command */

/* One event that a command has caused, or had caused when it ran before. Memory of the job. */
struct effect {
    struct effect *next;
    struct slice type; /* "project.created" */
    struct uuid subject;
    bool has_project;
    struct uuid project;
    struct uuid actor;
    int64_t version;
    int64_t seq;       /* given when the batch is recorded */
    struct slice at;   /* RFC 3339 */
    struct slice data; /* the entity as JSON text */
    struct job *job;
    bool is_published;
};

enum job_outcome {
    JOB_DONE,    /* committed, be it an effect or a refusal: ack when its event or reply is confirmed */
    JOB_DEAD,    /* for the dead letters, likewise once its reply is confirmed */
    JOB_RETRY,   /* rolled back; worth another try here in a moment */
    JOB_REQUEUE, /* tried often enough here: back to the queue, whose delivery limit ends it */
};

struct job {
    struct job *next; /* in the list of whoever has it */
    struct command command;
    const struct handler *handler; /* NULL: no such command, or not readable */
    struct arena arena;

    uint64_t tag; /* of the delivery; epoch: of its connection */
    uint32_t epoch;
    int64_t delivery_count;
    bool is_addressed; /* company and id could be read: there is a place for its result */

    /* A verdict given before it ran: a poisoned message, or an SQL error of the run before. OK: none. */
    enum err verdict;
    unsigned attempts; /* runs that ended in an error worth a retry */
    enum err error;    /* the last of them */

    /* What the batch found out. */
    size_t company_at; /* in the batch's ledger */
    enum err status;
    int http_status;
    struct slice refusal;   /* JSON; empty for a success */
    struct effect *effects; /* in order; the first is the one of the command's own entity */
    bool is_replay;         /* it ran before: nothing is written, everything is published again */
    bool is_unrecorded;     /* a refusal that is not its result (the inbox holds another's) */
    bool replaces;          /* the inbox row is that of a dead letter */
    enum job_outcome outcome;

    /* Publishing. */
    struct outbox *outbox;
    bool is_untold;          /* waits for its turn */
    bool reply_is_published; /* of a refusal */
    unsigned unconfirmed;

    ev_timer rest;
};

/* Copies the delivery and reads its metadata; what cannot be read gets the verdict POISON. */
struct job *job_new(const struct broker_delivery *delivery);
void job_free(struct job *job);

/* Forgets what a run found out, before the next one. */
void job_reset(struct job *job);

/* Appends an event to the job's; its data and type are copied. */
struct effect *job_add_effect(struct job *job, struct slice type, struct slice data);

static inline bool job_is_dead(const struct job *job)
{
    return job->verdict != ERR_OK && err_info(job->verdict)->fate == FATE_DEAD;
}
