#pragma once
/* A user's ties to projects: of which it is a member, which it manages (x-tie). A role that may read something under one
 * of these conditions only sees of its company's stream what belongs to such projects. */

#include "common/base/uuid.h"
#include "common/db/db.h"
#include "common/msg/rights.h"

/* A user with more ties cannot have the company's stream under a condition. */
enum { TIES_MAX = 10000 };

struct tie {
    struct uuid project;
    uint8_t conditions; /* bits of enum msg_condition: what the user is there */
};

struct ties {
    struct tie *items; /* ascending by project */
    size_t count;
};

/* $1 company, $2 user → project, conditions; one row more than TIES_MAX at most. */
const struct db_statement *ties_statement(void);

/* Reads an answer to that statement. False: there are too many. */
bool ties_read(struct ties *ties, const struct db_result *result) MUST_CHECK;
void ties_done(struct ties *ties);

/* What the user is to the project; 0: nothing. */
unsigned ties_to(const struct ties *ties, const struct uuid *project);

/* Whether the event, of which this is the text, may have changed the ties of the user: it gives or takes a membership,
 * or names the user as a manager or an assignee, who thereby becomes a member. `ties`: NULL, they are not known;
 * `project`: of the event, NULL: none. */
bool ties_change(const struct ties *ties, const struct uuid *user, struct slice text,
                 const struct uuid *project);
/* Whether there are users whose ties it may have changed, and whether it may have ended one. */
bool ties_may_change(struct slice text);
bool ties_may_end(struct slice text);
