#pragma once
/* The answer to a refused command: {"detail":…,"errors":[{"pointer":…,"detail":…}]}. The gateway makes the
 * problem document (RFC 9457) of it; title and status follow from the error's row in err.def. */

#include "workers/engine/command/command.h"

struct refusal_point {
    const char *pointer; /* JSON pointer into the request's body */
    const char *detail;
};

/* Makes the refusal the command's result and drops its effects. `detail` may be NULL, and `points` empty. */
void command_refuse(struct command *command, enum err err, const char *detail,
                    const struct refusal_point *points, size_t count);
