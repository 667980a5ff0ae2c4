#pragma once
/* What a refused command is answered with: {"detail":…,"errors":[{"pointer":…,"detail":…}]}. The gateway
 * makes the problem document of it (RFC 9457); title and status follow from the error's row in err.def. */

#include "workers/engine/command/command.h"

struct refusal_point {
    const char *pointer; /* JSON pointer into the request's body */
    const char *detail;
};

/* Sets the command's result; its effects are gone. detail may be NULL, points empty. */
void command_refuse(struct command *command, enum err err, const char *detail,
                    const struct refusal_point *points, size_t count);
