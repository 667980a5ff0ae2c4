#pragma once
/* The body of a command that is stored in a table, as JSON. */

#include "gateway/http/call.h"

/* Appends the JSON of a command's body that is given in hexadecimal. False, and nothing appended, when no
 * resource has commands of that type or the body does not fit its schema. */
bool command_body_append(struct call *call, struct slice type, struct slice hex, struct buf *out);
