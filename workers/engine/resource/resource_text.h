#pragma once
/* The parameters of a resource's statement: resource_text.c numbers them as it writes the text, and
 * resource.c fills them in. */

#include <stdbool.h>

#include "workers/engine/resource/sql_writer.h"

enum resource_param {
    PARAM_COMPANY,
    PARAM_ID,
    PARAM_AT,
    PARAM_ACTOR,
    PARAM_PARENT,
    PARAM_YEAR,
    PARAM_IF_MATCH,
    PARAM_MAY,          /* the types of the commands that the command's role may send without a condition */
    PARAM_READS,        /* the resources of which the command's role reads everything */
    PARAM_BOUND,        /* the actor, if its role may change only some of the entities; else NULL */
    PARAM_RIGHTS,       /* the conditions of the sender's rights (rights.h) */
    PARAM_SEQ,          /* of many: the number of the command's event */
    PARAM_FINGERPRINT,  /* of many */
    PARAM_HELD_COMPANY, /* at once: the sequences that the statement must find locked by its transaction … */
    PARAM_HELD_SEQ,     /* … and their numbers */
    PARAM_HAS,          /* bits of the fields that a merge patch mentions */
    PARAM_FIELD,        /* + index in the schema's table */
};

/* Columns of the answer. */
enum resource_answer {
    ANSWER_ID, /* of many: the command that the row answers */
    ANSWER_BROKEN,
    ANSWER_VERSION, /* that was made; of a change that is refused, the present one */
    ANSWER_ENTITY,
    ANSWER_FOLLOW_ID,
    ANSWER_COMPANY = ANSWER_FOLLOW_ID, /* of many */
    ANSWER_FOLLOW_VERSION,
    ANSWER_FOLLOW,
    ANSWER_FOLLOW_EVENT,
    ANSWER_FOLLOW_CHANNEL, /* id of the entity whose channel hears of it */
};

/* true when each command of a run has a value of its own (an array, where the plan takes many). */
static inline bool resource_param_is_own(unsigned param)
{
    return param != PARAM_AT && param != PARAM_YEAR;
}

/* follow.c: the sums of other entities, which follow from the change (x-sum, common/msg/sum_sql.h). */
bool resource_has_follow(const struct msg_resource *resource);
/* Writes that this statement adds to sums itself, as a column of `new`. */
void resource_write_own_sums(struct sql_writer *w);
/* Writes a common table expression for each other entity that changes. They come behind `made`. */
void resource_write_follow(struct sql_writer *w);
/* Writes the rows of all of them that a client sees a change in: id, version, json, event, _channel. */
void resource_write_followers(struct sql_writer *w);

/* The columns of the entity itself that follow from what a client gives. */
bool resource_is_following(const struct msg_resource *resource, const char *column);
/* Writes them as names and values of an INSERT, or as an assignment of an UPDATE, each behind a comma. */
void resource_write_following_names(struct sql_writer *w);
void resource_write_following_values(struct sql_writer *w);
void resource_write_following(struct sql_writer *w);
/* resource_text.c: true when the client may give the field in this command. */
bool resource_is_given(const struct sql_writer *w, const struct msg_field *field);

/* recorded.c: the parts of a statement that also records what it does (resource.h). They come behind
 * `fit` and `made`, or instead of the `fit` of the other statement. */
void resource_write_fit_or_nothing(struct sql_writer *w, bool is_at_once);
void resource_write_records(struct sql_writer *w, const char *event);
