#pragma once
/* The parameters of a resource's statement: resource_text.c numbers them as it writes the text, and
 * resource.c fills them in. */

#include <stdbool.h>

enum resource_param {
    PARAM_COMPANY,
    PARAM_ID,
    PARAM_AT,
    PARAM_ACTOR,
    PARAM_PARENT,
    PARAM_YEAR,
    PARAM_IF_MATCH,
    PARAM_MAY,   /* the types of the commands that the command's role may send */
    PARAM_HAS,   /* bits of the fields that a merge patch mentions */
    PARAM_FIELD, /* + index in the schema's table */
};

/* Columns of the answer. */
enum resource_answer {
    ANSWER_ID, /* of many: the command that the row answers */
    ANSWER_BROKEN,
    ANSWER_VERSION, /* that was made; of a change that is refused, the present one */
    ANSWER_ENTITY,
    ANSWER_FOLLOW_ID,
    ANSWER_FOLLOW_VERSION,
    ANSWER_FOLLOW,
};

/* true when each command of a run has a value of its own (an array, where the plan takes many). */
static inline bool resource_param_is_own(unsigned param)
{
    return param != PARAM_COMPANY && param != PARAM_AT && param != PARAM_YEAR;
}
