#pragma once
/* What request.c and request_head.c share. */

#include "gateway/http/request.h"

/* The request ends here, unanswered by any handler. `why` is constant, or NULL. Returns what a callback tells
 * the parser. */
int request_refuse(struct request *request, enum err err, const char *why);

/* The fields are complete: HPE_OK, or it is refused. */
int request_check_head(struct request *request);
