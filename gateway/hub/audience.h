#pragma once
/* What of its channel's events a subscriber sees: its role may not read the resource of an event, or only in projects to
 * which the user is tied (ties.h), or not see the fields of a class (common/msg/rights.h). Or the event is for some users only (x-audience). On a company's stream an event
 * that is not seen keeps its number, {"seq":42}, so that numbers have no gaps; a run of them is merged,
 * {"seq":45,"from":42}. On the channel of a project, where seqs are missing anyway, it is left out. */

#include "common/base/buf.h"
#include "common/msg/rights.h"
#include "gateway/hub/stream.h"
#include "gateway/hub/ties.h"

struct msg_resource;

/* The resource whose entities have channels of their own: the project. */
const struct msg_resource *audience_channels_resource(void);
/* The conditions under which the role may have the channel of an entity, as bits of enum msg_condition. */
unsigned audience_conditions(enum msg_role role);
/* Whether the role reads anything, and so may have the company's channel. */
bool audience_reads(enum msg_role role);
/* Whether what the role sees on the company's channel depends on the user's ties to projects. */
bool audience_needs_ties(enum msg_role role);
/* Whether the role sees every event of its company as it is. */
bool audience_is_whole(enum msg_role role);
/* The first role that sees the same of every event. */
enum msg_role audience_like(enum msg_role role);

enum audience_of {
    AUDIENCE_OF_COMPANY,
    AUDIENCE_OF_PROJECTS,
    AUDIENCE_OF_ALL, /* what is no event of the company: the progress of an operation */
};

/* Who looks at events, and where. */
struct viewer {
    enum msg_role role;
    enum audience_of of;
    const struct ties *ties; /* of the user, on the company's channel; NULL: none */
    const struct uuid *user; /* NULL: nobody whom an event could name */
};

/* The fields that name those who alone see the event with this text; NULL: it is for all who may see such entities. */
const char *const *audience_users(struct slice text);
/* Whether they name the user. */
bool audience_names(const char *const *users, struct slice text, const struct uuid *user);

/* What the viewer's user is to the publication's project. */
unsigned audience_ties_to(const struct viewer *viewer, const struct publication *publication);

/* The publications as a viewer sees them; maybe none. Those that it was made of must outlive it. */
struct audience {
    const struct publication *const *publications;
    size_t count;

    const struct publication **list;
    struct publication *made;
    size_t made_count;
};

void audience_init(struct audience *audience, const struct viewer *viewer,
                   const struct publication *const *publications, size_t count);
void audience_done(struct audience *audience);

/* Appends the texts of events, an array without its brackets, as the viewer sees them. */
void audience_append_page(const struct viewer *viewer, struct slice events, struct buf *out);
