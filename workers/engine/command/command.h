#pragma once
/* One command on its way through this process: from its delivery to its ack, or from its row in `deferred`.
 *
 *   delivery ─┐
 *             ├─▶ intake ─▶ batch ─┬─ DONE, DEAD ─▶ outbox ─▶ ack
 *   row ──────┘     ▲              ├─ DEFERRED ───▶ ack: it is a row of `deferred` now
 *                   └─ RETRY, AGAIN┘
 *
 * A `struct command` owns copies of everything it needs: the delivery, and the connection that brought it, may be long
 * gone when it ends. */

#include "common/base/arena.h"
#include "common/broker/envelope.h"

struct company;
struct handler;
struct command;
struct outbox;

#define EFFECTS_MAX 16 /* of one command */

/* One event that a command has caused, or had caused when it ran before. Memory of the command. */
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
    struct command *command;
    bool is_published;
};

enum command_outcome {
    COMMAND_DONE,     /* committed, be it an effect or a refusal: ack when its event or reply is confirmed */
    COMMAND_DEAD,     /* committed as a dead letter: likewise */
    COMMAND_DEFERRED, /* committed as a row of `deferred`: ack */
    COMMAND_RETRY,    /* rolled back; worth another try here after a rest */
    COMMAND_AGAIN,    /* rolled back, and not by its own fault */
    COMMAND_GONE,     /* its row is no longer there: somebody else ran it */
    COMMAND_REJECTED, /* nothing could be written down: to the broker's dead letters once its reply is confirmed */
};

/* Why a command waits in `deferred`; UNTOLD: it does not, it ran, and its row is one of `unpublished`. */
enum deferral { DEFER_NONE, DEFER_TURN, DEFER_RETRY, DEFER_SCHEDULE, DEFER_UNPUBLISHED };

struct command {
    struct command *next; /* in the list of whoever has it */
    struct envelope envelope;
    const struct handler *handler; /* NULL: no such command, or not readable */
    struct arena arena;

    /* Where it comes from. */
    enum deferral row; /* the reason of its row; NONE: the broker delivered it */
    uint64_t tag;      /* of the delivery; epoch: of its connection */
    uint32_t epoch;
    int64_t delivery_count;
    bool is_redelivered;
    bool is_addressed;    /* company and id could be read: there is a place for its result */
    bool is_readable;     /* and the rest of the metadata */
    int64_t place;        /* of a row whose reason is TURN */
    bool has_dead_letter; /* a row of dead_letter speaks of it */

    /* In the intake. */
    struct company *company;
    uint64_t order; /* as it came */

    /* A verdict given before it ran: a poisoned message, or the error of the runs before. OK: none. */
    enum err verdict;
    struct slice why;      /* for operators; SLICE_NONE: nothing more to say */
    unsigned attempts;     /* runs that ended in an error worth a retry, here and before */
    unsigned backoffs;     /* here */
    enum err error;        /* the last of them */
    struct slice first_at; /* when it was first seen, as the database wrote it; SLICE_NONE: now */

    /* It may be what ended its last process (begun_mark.h). */
    bool was_begun;
    bool has_begun_mark; /* a row of `begun_mark` says that this process has begun it */

    /* What is to become of it instead of a run. */
    enum deferral deferral;
    int64_t delay_ms; /* of a RETRY */

    /* What the batch found out. */
    size_t company_at; /* in the batch's ledger */
    enum err status;
    int http_status;
    struct slice refusal;   /* JSON; empty for a success */
    struct effect *effects; /* in order; the first is the one of the command's own entity */
    bool is_replay;         /* it ran before: nothing is written, everything is published again */
    bool is_unrecorded;     /* a refusal that is not its result (the inbox holds another's) */
    bool is_waiting;        /* it has a row in `deferred` already */
    bool is_gone;           /* its row is not there any more */
    bool waits_in_turn;     /* is_waiting, and for its turn */
    bool was_to_be_parked;  /* it was taken for that, whatever the batch found */
    bool replaces;          /* the inbox row is that of a dead letter */
    enum command_outcome outcome;

    /* Publishing. */
    struct outbox *outbox;
    bool is_unpublished;     /* waits for its turn */
    bool reply_is_published; /* of a refusal */
    unsigned unconfirmed;
};

/* Copies the delivery and reads its metadata; what cannot be read, or is no text for a database, gets the
 * verdict POISON. */
struct command *command_new(const struct broker_delivery *delivery);
/* Copies the command. */
struct command *command_new_of_row(const struct envelope *envelope, enum deferral row);
void command_free(struct command *command);

/* Forgets what a run found out, before the next one. */
void command_reset(struct command *command);

/* Appends an event to the command's; its data and type are copied. */
struct effect *command_add_effect(struct command *command, struct slice type, struct slice data);

/* Nobody is to run it again by himself: its verdict is a failure of ours, not a refusal. */
static inline bool command_is_dead(const struct command *command)
{
    return command->verdict != ERR_OK && err_info(command->verdict)->http_status >= 500;
}

/* This run gave it a result that is to be written down. */
static inline bool command_has_result(const struct command *command)
{
    return !command->is_replay && !command->is_unrecorded && !command->is_waiting && !command->is_gone &&
           !command->deferral;
}
