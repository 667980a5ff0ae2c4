#pragma once
/* What the files of long jobs share: long_jobs.c waits, looks for a job and talks to the database; held.c
 * decides what is next with the job that this process holds. */

#include "common/base/buf.h"
#include "common/broker/broker.h"
#include "common/broker/envelope.h"
#include "common/db/db.h"
#include "common/process/host.h"
#include "workers/engine/long_jobs/kind.h"
#include "workers/engine/long_jobs/long_jobs.h"
#include "workers/engine/long_jobs/sql.h"

enum {
    NUMBER_SIZE = 24,
    SLUG_SIZE = 64,
    LOCK_WAIT_MS = 500, /* for a row that another transaction holds, such as the sequence of a company */
};

/* What the process waits for (the drawing in long_jobs.h); long_jobs_enter changes it. */
enum phase {
    IDLE, /* for the next look */
    LOOKING,
    SWEEPING,
    COUNTING,
    TURNING,    /* a change of status */
    READING,    /* the event of the last change of status */
    PUBLISHING, /* for the broker to confirm that event */
    RECORDING,  /* that it was published */
    STEPPING,
    PAUSING,    /* between two steps, or before the event is published again */
    LETTING_GO, /* the job is put off, or given back */
};

/* The job that this process holds. */
struct held {
    const struct long_job_kind *kind;
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1], lease[NUMBER_SIZE], published_up_to[NUMBER_SIZE];
    char status[SLUG_SIZE], error[SLUG_SIZE];
    int64_t attempts, event_seq, published_seq, done, total;
    bool is_cancelled, is_counted, is_through, is_too_large, is_lost;
    enum err fault; /* what the job is to fail with */
    double progress_at;
};

struct long_jobs {
    struct ev_loop *loop;
    const struct config *config;
    const char *pool;
    struct broker *publisher;
    struct gateways *gateways;
    struct db *db;
    struct long_job_kinds *kinds;
    enum phase phase;
    bool is_holding, is_draining, is_poked, is_held;
    bool is_of_schema; /* the last failure: the database lacks what the statement names, or forbids it */
    struct held held;
    int64_t rows;              /* that the next step goes through */
    struct db_statement sweep; /* its sql is NULL: there is nothing to sweep */
    double step_began, sweep_at;
    enum err answer;         /* of the statement in work */
    struct db_result *event; /* as it was read; NULL: there is none */
    struct buf body;
    struct envelope_scratch scratch;
    char name[HOST_PROCESS_SIZE];
    char hold[NUMBER_SIZE], piece_bytes[NUMBER_SIZE], max_bytes[NUMBER_SIZE], hours[NUMBER_SIZE];
    ev_timer next, beat;
};

/* long_jobs.c */

struct slice long_job_number(char text[NUMBER_SIZE], int64_t value);
void long_job_copy(char *to, size_t size, struct slice text); /* cut to size, ended by a zero */

void long_jobs_enter(struct long_jobs *jobs, enum phase phase);
void long_jobs_pause(struct long_jobs *jobs, double s); /* then comes held_proceed */
/* Holds no job any more; looks again after `s`, or at once when it was poked meanwhile. */
void long_jobs_idle(struct long_jobs *jobs, double s);
double long_jobs_poll_s(const struct long_jobs *jobs);

/* Sends one statement in one transaction; with `lock`, after the lock of the company's sequence. */
void long_jobs_ask(struct long_jobs *jobs, enum phase phase, bool lock, const struct db_statement *statement,
                   const struct slice *params, size_t count, db_on_result *on_result);
/* Whether the statement succeeded. If not, `answer` has its error, which is logged. */
bool long_jobs_is_good(struct long_jobs *jobs, struct db_result *result);

/* held.c */

void held_proceed(struct long_jobs *jobs); /* what is next with the job */
void held_after_step(struct long_jobs *jobs);
void held_publish(struct long_jobs *jobs); /* publishes the event that was read */
void held_fail(struct long_jobs *jobs, enum err err);
