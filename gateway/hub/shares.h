#pragma once
/* Of one delivery: the subscribers who see the same of each of its events, so that these are encoded once for all of
 * them. They are found by a hash: a company may have thousands of users with memberships of their own. */

#include "gateway/hub/audience.h"
#include "gateway/hub/private.h"

/* Events are encoded for the first subscriber of a protocol and shared by the others. There are few
 * protocols (the forms of sessions, streams, polls), and a channel's list has their subscribers mixed. */
enum { PROTOCOLS_MAX = 8 };

struct share {
    struct share *next; /* in its bucket */
    uint64_t hash;
    enum msg_role role;     /* the first that sees the same */
    uint8_t ties[HUB_PAGE]; /* what their users are to each event */
    struct audience seen;
    const struct subscriber_protocol *protocols[PROTOCOLS_MAX];
    struct bytes *encoded[PROTOCOLS_MAX];
};

struct shares {
    struct share **buckets;
    size_t bucket_count; /* a power of two, or 0 before the first share */
    size_t count;
    size_t comparisons; /* of ties, for tests */
};

/* Of users of that role with these ties, `count` of them. If it is new, *ret_is_new is true and its `seen` empty. It
 * lives until shares_done. */
struct share *shares_obtain(struct shares *shares, enum msg_role role, const uint8_t *ties, size_t count,
                            bool *ret_is_new);
void shares_done(struct shares *shares);
