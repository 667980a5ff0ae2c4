#pragma once
/* One command in work: from its delivery to its ack, or from its row in `deferred` to the end of that row.
 *
 *   delivery ─┐
 *             ├─▶ intake ─▶ batch ─┬─ DONE, DEAD ─▶ outbox ─▶ ack
 *   row ──────┘     ▲              ├─ DEFERRED ───▶ ack: the command is a row of `deferred` now
 *                   └─ RETRY, AGAIN, LOCKED, BLOCKED
 *
 * A `struct command` owns copies of everything it needs, because the delivery, and the connection that
 * brought it, may be gone long before the command ends. */

#include "common/base/arena.h"
#include "common/broker/envelope.h"

struct command;
struct company;
struct handler;
struct outbox;

#define EFFECTS_MAX 16 /* of one command */

/* One event that a command has caused, in this run or in an earlier one. It lives in the memory of the
 * command. */
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
    bool is_private; /* nobody but the sender hears of it: it has no number, and only the inbox keeps it */
    bool is_published;
};

enum command_outcome {
    COMMAND_DONE,     /* committed, with an effect or a refusal: acked when all of it is confirmed */
    COMMAND_DEAD,     /* committed as a dead letter: acked likewise */
    COMMAND_DEFERRED, /* committed as a row of `deferred`: acked at once */
    COMMAND_RETRY,    /* rolled back: this process tries it again after a back-off */
    COMMAND_AGAIN,    /* rolled back through no fault of its own: this process runs it again */
    COMMAND_LOCKED,   /* not begun, because another transaction has the sequence of its company: this process
                         tries it again after a back-off, which costs no attempt */
    COMMAND_BLOCKED,  /* rolled back, because it waited in vain for a row that another transaction has:
                         likewise, and in a batch of its own */
    COMMAND_GONE,     /* another process has run it: its row is no longer there */
    COMMAND_REJECTED, /* nothing can be written of it: the broker gets it as a dead letter, or its row becomes
                         one */
};

/* Why a command waits in `deferred`. UNPUBLISHED: it does not wait but ran, and its row is one of
 * `unpublished`. */
enum deferral { DEFER_NONE, DEFER_TURN, DEFER_RETRY, DEFER_SCHEDULE, DEFER_UNPUBLISHED };

/* How much of the metadata could be read. */
enum command_reading {
    READING_NOTHING, /* no company or no id: there is no place for a result */
    READING_ADDRESS, /* company and id */
    READING_ALL,
};

/* What the database says of a command before it runs. Each transaction finds it out anew; command_find()
 * changes it.
 *
 *   a row of `deferred`     from the broker, or a row of `unpublished`
 *           │                              │
 *           ▼                              ▼
 *         GONE ── row deleted by us ────▶ RUN ─┬─ the inbox has its result ────────▶ REPLAY
 *           ▲                              │   ├─ … that of a dead letter ─────────▶ REPLACE
 *           │                              │   ├─ … that of another request ───────▶ UNRECORDED
 *           │                              │   ├─ it waits for its turn ───────────▶ IN_TURN
 *           │                              │   └─ it waits for a retry or its time ▶ WAITING
 *           │                              │
 *           └── a row of `unpublished` ────┴── also from REPLACE, IN_TURN and WAITING
 *               without a result to publish
 */
enum command_finding {
    FINDING_RUN,     /* nothing is known of it */
    FINDING_REPLACE, /* it ended as a dead letter and runs once more; the new result replaces the old one */
    FINDING_REPLAY,  /* it ran before: nothing is written, and everything is published again */
    FINDING_UNRECORDED, /* it is refused, and that is not written: the inbox keeps the result that it has */
    FINDING_IN_TURN,    /* it is a row of `deferred` already, and waits there for its turn */
    FINDING_WAITING,    /* likewise, for a retry or for its time */
    FINDING_GONE,       /* its row is no longer there */
};

/* An operator's part in a command that runs in its sender's name. */
struct acted {
    bool is_known; /* false: no operator has that part */
    struct uuid by, company;
    int64_t at; /* seconds since 1970 */
};

struct command {
    struct command *next; /* in the list of whoever has it */
    struct envelope envelope;
    const struct handler *handler; /* NULL: there is no such command, or it cannot be read */
    struct arena arena;

    int64_t since_us; /* of the monotonic clock: when it was made */

    /* Where it comes from. */
    enum deferral row; /* the reason of its row; NONE: the broker delivered it */
    uint64_t tag;      /* of the delivery */
    uint32_t epoch;    /* of the connection that brought it */
    int64_t delivery_count;
    bool is_redelivered;
    bool is_of_parcel; /* the delivery brought others, too */
    enum command_reading reading;
    int64_t place;        /* of a row whose reason is TURN */
    bool has_dead_letter; /* there is a row of `dead_letter` for it */
    struct acted acted; /* who has it run: asked for a run of its schedule, replayed its dead letter; or … */
    struct acted scheduled; /* … who put the schedule */

    /* In the intake. */
    struct company *company;
    uint64_t order; /* of its arrival */
    bool is_parked; /* it was taken in order to become a row of `deferred` */

    /* Runs that failed. A verdict was given before the present run: the message cannot be read, or the runs
     * before have used up its attempts. */
    enum err verdict;      /* OK: none */
    struct slice why;      /* the reason in words, for operators; SLICE_NONE: none */
    unsigned attempts;     /* runs that ended in an error worth a retry, in this process and before */
    unsigned backoffs;     /* in this process */
    enum err error;        /* of the last of these runs */
    struct slice first_at; /* when the command was first seen, as the database wrote it; SLICE_NONE: now */

    /* Whether it may have ended a process (begun_mark.h). */
    bool
        was_begun; /* a process has begun it, and ended before it did: it runs alone in its batch, or with its parcel */
    bool has_begun_mark; /* this process has begun it: a row of `begun_mark` says so */
    bool is_counted;     /* that row counts the present run, in which it is alone */
    bool may_have_run; /* this process lost its database while the command ran: it may have been committed */

    /* A command with a deferral does not run but becomes a row of `deferred`. */
    enum deferral deferral;
    int64_t delay_ms; /* of a RETRY */

    /* What the batch found out. */
    size_t company_at; /* row of its company in the batch's sequences */
    enum command_finding finding;
    bool is_revoked; /* the tokens of its sender were, after it was sent (records/revoked.h) */
    enum err status;
    int http_status;
    struct slice refusal;   /* JSON; empty for a success */
    struct effect *effects; /* in order; the first is that of the command's own entity */
    enum command_outcome outcome;

    /* In the outbox. */
    struct outbox *outbox;
    bool is_queued;          /* not all of it has been handed to the broker */
    bool reply_is_published; /* of a refusal */
    unsigned unconfirmed;
};

/* Copies the delivery and reads its metadata. A command that cannot be read, or whose texts a database does
 * not take, gets the verdict POISON. */
struct command *command_new(const struct broker_delivery *delivery);
/* Likewise, of one entry of a parcel (common/broker/parcel.h) that the delivery brought. */
struct command *command_new_of_entry(const struct broker_delivery *delivery, struct slice entry);
/* Copies the envelope. */
struct command *command_new_of_row(const struct envelope *envelope, enum deferral row);
void command_free(struct command *command);

/* Its X-Request-Id, which the gateway's log has, too: the end of "<prefix>.<number>.<X-Request-Id>". SLICE_NONE: it
 * comes from no request. */
struct slice command_correlation(const struct command *command);

/* Forgets what a transaction found out, before the next one. */
void command_reset(struct command *command);

/* Notes what the database says of the command; the drawing above shows what may follow what. */
void command_find(struct command *command, enum command_finding finding);

/* Appends an event to the command's effects; its type and data are copied. */
struct effect *command_add_effect(struct command *command, struct slice type, struct slice data);

/* true when its verdict is a failure of ours, not a refusal: nobody runs it again unless an operator asks for
 * it. */
static inline bool command_is_dead(const struct command *command)
{
    return command->verdict != ERR_OK && err_info(command->verdict)->http_status >= 500;
}

static inline bool command_is_waiting(const struct command *command)
{
    return command->finding == FINDING_IN_TURN || command->finding == FINDING_WAITING;
}

/* true when the result is that of a request before this one: the command ran when it came with another message.
 * A message that comes again, and a row that is left to be published, bring the answer to their own request. */
static inline bool command_is_replayed(const struct command *command)
{
    return command->finding == FINDING_REPLAY && command->row == DEFER_NONE && !command->is_redelivered &&
           !command->may_have_run;
}

/* true when the database knows no reason why the command should not run. */
static inline bool command_is_new(const struct command *command)
{
    return command->finding == FINDING_RUN || command->finding == FINDING_REPLACE;
}

/* true when this transaction gives the command a result that is to be written. */
static inline bool command_has_result(const struct command *command)
{
    return command_is_new(command) && !command->deferral;
}
