#pragma once
/* The answer to a refused command: {"detail":…,"errors":[{"pointer":…,"detail":…}],"version":…}. The gateway makes the
 * problem document (RFC 9457) of it; title and status follow from the error's row in err.def. */

#include "workers/engine/command/command.h"

struct refusal_point {
    const char *pointer; /* JSON pointer into the request's body */
    const char *detail;
};

/* Refuses it with ERR_VERSION_CONFLICT: the entity has this version, which the refusal says in "version". */
void command_refuse_version(struct command *command, int64_t present);

/* Makes the refusal the command's result and drops its effects. `detail` may be NULL, and `points` empty. */
void command_refuse(struct command *command, enum err err, const char *detail,
                    const struct refusal_point *points, size_t count);
