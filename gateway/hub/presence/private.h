#pragma once
/* Inside of presence: for presence*.c only.
 *
 *   presence.c          rosters: watching, and what the hub and those who ask see of it
 *   distant.c  those who are on channels by other processes
 *   peers.c    other processes: beats, and what they say
 *   wire.c     JSON of what is said
 */

#include "common/base/buf.h"
#include "common/base/uuid_map.h"
#include "gateway/hub/presence/presence.h"
#include "gateway/hub/private.h"

enum {
    PRESENCE_GATHER_MS = 50,
    PRESENCE_LINGER_S = 60,
    PRESENCE_BEATS = 4,
    PRESENCE_PIECE = 65536, /* octets of one message, about */
};

struct uuid_set {
    struct uuid *items;
    size_t count;
};
bool uuid_set_has(const struct uuid_set *set, const struct uuid *item);
void uuid_set_add(struct uuid_set *set, const struct uuid *item); /* once */
void uuid_set_remove(struct uuid_set *set, const struct uuid *item);

/* One who is on a channel by another process. */
struct distant {
    struct uuid_node node; /* of its channel's; key: the client */
    struct uuid user, peer;
    bool is_stale; /* the state that is coming has not named it yet */
};

struct distant_channel {
    struct uuid_node node; /* of the roster's; key: the id of the channel */
    enum channel_kind kind;
    struct uuid_map members;
};

/* One company: there is one while it has watchers here or elsewhere. */
struct roster {
    struct uuid_node node; /* of the rosters; key: the company */
    struct presence *presence;
    struct tenant *tenant; /* NULL: nobody here is on its channels */

    struct uuid_set watchers; /* processes that want to hear of ours */
    struct buf changes;       /* for them */
    bool must_resend;         /* a message could not be sent: they get the state again */

    bool is_watching;
    size_t listeners; /* subscribers here that want to hear who comes and goes */
    ev_tstamp watch_until;
    struct uuid_set awaited; /* processes whose state has not come yet */
    struct uuid_map channels;
    struct presence_request *waiting; /* for them, until `limit` */
    ev_timer limit;

    bool dirty;
    struct roster *next_dirty;
};

struct peer {
    struct uuid_node node; /* key: its id, which its reply key ends in */
    ev_tstamp heard_at;
};

struct presence {
    struct gateway *gateway;
    ev_tstamp began_at;
    struct uuid self;
    struct uuid_map rosters, peers;
    size_t distant_count;
    struct roster *dirty;
    ev_timer gather, beat;
};

/* presence.c */
struct roster *roster_find(struct presence *presence, const struct uuid *company);
struct roster *roster_obtain(struct presence *presence, const struct uuid *company);
void roster_tidy(struct roster *roster); /* freed when nobody watches any more */
void roster_touch(struct roster *roster);
void roster_watch(struct roster *roster); /* asks everybody for their state */
void roster_settled(struct roster *roster);

/* distant.c */
/* A process says who is on a channel of its own, or no more. */
void roster_apply(struct roster *roster, const struct uuid *peer, bool joined, enum channel_kind kind,
                  const struct uuid *channel, const struct member *member);
/* Those of that process: all; before its state comes, and those that it did not name, after. */
enum forget { FORGET, FORGET_LATER, FORGET_STALE };
void roster_forget_peer(struct roster *roster, const struct uuid *peer, enum forget what);
/* The channel as this process has it; NULL when nobody here is on it. */
struct channel *roster_channel_here(const struct roster *roster, enum channel_kind kind,
                                    const struct uuid *id);
/* Somebody here may want to hear of it. */
void roster_tell_here(struct roster *roster, struct channel *channel, const struct member *member,
                      bool joined);
struct distant_channel *distant_channel_find(const struct roster *roster, const struct uuid *id);

/* peers.c */
void presence_expire(struct presence *presence); /* those who are silent */

/* wire.c */
void wire_beat(struct presence *presence, bool hello);
void wire_watch(struct roster *roster, const struct uuid *peer, bool watch); /* peer NULL: everybody */
void wire_change(struct roster *roster, bool joined, const struct channel *channel,
                 const struct member *member);
void wire_changes_flush(struct roster *roster);
void wire_state(struct presence *presence, const struct uuid *company, struct roster *roster,
                const struct uuid *peer);
