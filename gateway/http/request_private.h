#pragma once
/* What request.c and request_head.c share. */

#include "gateway/http/request.h"

/* Refuses the request; no handler will see it. `why` is a constant text, or NULL. Returns what a callback
 * must return to the parser. */
int request_refuse(struct request *request, enum err err, const char *why);

/* Checks the head when its fields are complete: HPE_OK, or the request is refused. */
int request_check_head(struct request *request);
