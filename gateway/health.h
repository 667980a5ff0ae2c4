#pragma once
/* Whether this process answers, and whether it can do its work. */

#include "gateway/http/call.h"

void healthz(struct call *call); /* GET /healthz: 200 as long as the process answers */
void readyz(
    struct call
        *call); /* GET /readyz: 200 when health_is_ready, else 503 and the first part that is missing */

/* The broker and the database are connected, the queues of commands take some, the database has what
 * the schemas say, the revoked tokens are known, and the process is not leaving. */
bool health_is_ready(const struct gateway *gateway);
