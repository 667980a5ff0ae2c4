#pragma once
/* What became of a command, from the inbox, or for what it waits: GET /v1/operations/{id}, and the answer to a request whose reply
 * was lost. */

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "gateway/http/call.h"

struct operation {
    enum err found;       /* OK; NOT_FOUND: it has not run (yet); otherwise the database did not say */
    bool is_waiting;      /* in `deferred`, and there is no result yet: only the fingerprint is known */
    enum err status;      /* of the command: OK or its refusal */
    int http_status;      /* 201, 200, 204, or the refusal's */
    uint64_t fingerprint; /* of the command that ran under this id: another one means another request */
    struct slice type;    /* of its event: "project.created"; SLICE_NONE for a refusal */
    struct slice subject; /* the entity's id, as text */
    int64_t version;      /* of the entity: its ETag */
    struct bytes *whole;  /* for call_respond_shared; NULL when there is no entity */
    struct slice entity;  /* JSON; for a delete {"id":…,"version":…} */
    struct slice refusal; /* {"detail":…,"errors":[…]}; SLICE_NONE when there is none */
};

/* `operation` and all it points to are valid during the call. */
typedef void operation_on_found(void *arg, const struct operation *operation);

/* Calls back from the loop, exactly once (also when the process ends); ERR_DATABASE_BUSY: not at all. */
enum err operation_find(struct gateway *gateway, const struct uuid *company, const struct uuid *command,
                        operation_on_found *on_found, void *arg) MUST_CHECK;

void read_operation(struct call *call); /* GET /v1/operations/{id} */
