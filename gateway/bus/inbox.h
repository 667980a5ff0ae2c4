#pragma once
/* What became of a command, read from the workers' inbox in PostgreSQL: for GET /v1/operations/{id}, and for
 * a request whose reply was lost. */

#include "common/base/bytes.h"
#include "common/db/db.h"
#include "gateway/gateway.h"

struct operation {
    enum err
        found; /* ERR_NOT_FOUND: the command has not run (yet). Another error: the database did not say */
    bool is_waiting; /* the command is in `deferred` and has no result yet: only the fingerprint is known */
    enum err status; /* of the command: ERR_OK or its refusal */
    int http_status; /* 201, 200, 204, or the refusal's */
    uint64_t
        fingerprint;   /* of the command that ran under this id; another fingerprint means another request */
    struct slice type; /* of its event: "project.created"; SLICE_NONE for a refusal */
    struct slice subject; /* the entity's id, as text */
    int64_t version;      /* of the entity: its ETag */
    int64_t at_ms;        /* since 1970, when the command ran; 0: it has not */
    struct bytes *whole;  /* for call_respond_shared; NULL when there is no entity */
    struct slice entity;  /* JSON; for a delete {"id":…,"version":…} */
    struct slice refusal; /* {"detail":…,"errors":[…]}; SLICE_NONE when there is none */
};

/* `operation` and all that it points to are valid during the call. */
typedef void operation_on_found(void *arg, const struct operation *operation);

/* Calls on_found from the loop, exactly once and within DB_HURRIED_MS, also when the process ends or the database
 * hangs. ERR_DATABASE_BUSY: not at all. */
enum err inbox_find(struct gateway *gateway, const struct uuid *company, const struct uuid *command,
                    operation_on_found *on_found, void *arg) MUST_CHECK;

/* A statement with the company and the command as its parameters. Its row holds the operation and its
 * progress. */
extern const struct db_statement inbox_follow;

/* How far a command has come. Members are SLICE_NONE where they do not apply. */
struct operation_progress {
    struct slice job,
        job_error; /* of the long job that the command began: its status and the slug of its error */
    struct slice job_members;   /* what the operation shows of that job, as members of a JSON object */
    struct slice waits_for;     /* "turn", "retry" or "schedule" */
    struct slice waits_members; /* what the operation shows of that waiting, as members of a JSON object */
    struct slice given_up;      /* why the broker gave the command up, without a result */
};

/* The operation in the first row, if there is one. The caller owns operation.whole; the rest lives as long as
 * the result. */
struct operation inbox_read(struct db_result *result);
/* Only of a row of inbox_follow. */
struct operation_progress inbox_read_progress(const struct db_result *result);
/* The same: who sent the command, as text; SLICE_NONE: that is not kept, as of a refusal. */
struct slice inbox_read_actor(const struct db_result *result);
