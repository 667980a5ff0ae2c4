#pragma once
/* What mapping.c and mapping_check.c share: the target of a rule. */

#include "common/hooks/mapping.h"

/* What a rule's command is: "task.update". */
struct hook_target {
    const struct msg_resource *resource; /* NULL: there is no such command */
    enum msg_verb verb;
};

struct hook_target hook_target_of(const char *command);

enum hook_place { HOOK_PLACE_NONE, HOOK_PLACE_ID, HOOK_PLACE_PARENT, HOOK_PLACE_FIELD };

/* Where the value of `to` goes. *ret_field is set for HOOK_PLACE_FIELD. */
enum hook_place hook_place_of(const struct hook_target *target, const char *to,
                              const struct msg_field **ret_field);

/* The value as the field wants it, as a new reference: a number for a text that is one, and the other way round. What cannot
 * be made to fit stays as it is, and is refused later. */
json_t *hook_value_for(const struct msg_shape *shape, const json_t *value);
/* The same of a constant, which is written as text. */
json_t *hook_constant_for(const struct msg_shape *shape, const char *text);
