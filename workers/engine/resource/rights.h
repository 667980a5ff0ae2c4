#pragma once
/* Rights (x-rights) in the statement of a command. The gateway has let the command in when its sender's role may do
 * it at all; whether a condition holds is asked when the command runs, which may be months later:
 *
 *   what the sender does not see     NOT_FOUND, as if it were not there
 *   what the sender sees             FORBIDDEN, with the name of the right
 *
 * A statement has these rules only where some role has the right under a condition. */

#include "workers/engine/resource/resource.h"

/* What the statement's parameter `:rights` is for a sender of the role of this name: the conditions of its right to do it, and
 * those of its right to read what it does it to. 0: it may not do it at all. */
int64_t rights_of(const struct resource_statement *statement, struct slice role);

/* Whether the role may do it under any condition. */
bool rights_allow(const struct resource_statement *statement, struct slice role);

/* Whether the role of this name may update entities of the resource only under a condition (`:bound`). */
bool rights_bind(const struct msg_resource *resource, struct slice role);

/* The first field that the command names although the role of this name does not see it (x-class); NULL: none. */
const struct msg_field *rights_hidden_field(const struct resource_statement *statement, struct slice role,
                                            const struct msg_value *values);

/* The rules' conditions, one each; the statement refuses the command when it is true. Nothing is appended, and false
 * returned, where no role has a condition. */
bool rights_write_hidden(const struct resource_statement *statement, struct buf *out) MUST_CHECK;
bool rights_write_forbidden(const struct resource_statement *statement, struct buf *out) MUST_CHECK;

/* Writes a sentence that names the right, and the field. */
void rights_detail_of_field(const struct resource_statement *statement, const struct msg_field *field,
                            char why[160]);

/* "You do not have the right task.update here.": the caller frees the text. */
char *rights_detail(const struct resource_statement *statement);
