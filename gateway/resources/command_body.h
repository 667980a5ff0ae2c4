#pragma once
/* The body of a command that waits in a table, as its client wrote it. */

#include "gateway/http/call.h"

/* Appends the JSON of what is in hexadecimal; false, and nothing appended, when no resource has commands of that type, or it does not fit. */
bool command_body_append(struct call *call, struct slice type, struct slice hex, struct buf *out);
