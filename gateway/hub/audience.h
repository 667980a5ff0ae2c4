#pragma once
/* What of its channel's events a subscriber sees: its role may not read the resource of an event, or not see the fields
 * of a class (common/msg/rights.h). On a company's stream an event that is not seen keeps its number, {"seq":42}, so
 * that numbers have no gaps; a run of them is merged, {"seq":45,"from":42}. On the channel of a project, where seqs are
 * missing anyway, it is left out. */

#include "common/base/buf.h"
#include "common/msg/rights.h"
#include "gateway/hub/stream.h"

struct msg_resource;

/* The resource whose entities have channels of their own: the project. */
const struct msg_resource *audience_channels_resource(void);
/* The conditions under which the role may have the channel of an entity, as bits of enum msg_condition. With `any` it
 * may have the company's channel, too. */
unsigned audience_conditions(enum msg_role role);
/* Whether the role sees every event of its company as it is. */
bool audience_is_whole(enum msg_role role);
/* The first role that sees the same of every event. */
enum msg_role audience_like(enum msg_role role);

enum audience_of {
    AUDIENCE_OF_COMPANY,
    AUDIENCE_OF_PROJECTS,
    AUDIENCE_OF_ALL, /* what is no event of the company: the progress of an operation */
};

/* The publications as a role sees them; maybe none. Those that it was made of must outlive it. */
struct audience {
    const struct publication *const *publications;
    size_t count;

    const struct publication **list;
    struct publication *made;
    size_t made_count;
};

void audience_init(struct audience *audience, enum msg_role role, enum audience_of of,
                   const struct publication *const *publications, size_t count);
void audience_done(struct audience *audience);

/* Appends the texts of events, an array without its brackets, as the role sees them. */
void audience_append_page(enum msg_role role, bool is_of_company, struct slice events, struct buf *out);
