#pragma once
/* Inside of presence: for this room only.
 *
 *   presence.c  rosters: watching a company, what the hub reports, requests
 *   distant.c   the members of channels that other processes have
 *   peers.c     the other processes: their beats and their messages
 *   wire.c      the JSON of the messages that are sent
 */

#include "common/base/buf.h"
#include "common/base/uuid_map.h"
#include "gateway/hub/presence/presence.h"
#include "gateway/hub/private.h"

enum {
    PRESENCE_GATHER_MS = 50,
    PRESENCE_LINGER_S = 60,
    PRESENCE_BEATS = 4,
    PRESENCE_PIECE = 65536, /* a message has about this many octets at most */
};

struct uuid_set {
    struct uuid *items;
    size_t count;
};
bool uuid_set_has(const struct uuid_set *set, const struct uuid *item);
void uuid_set_add(struct uuid_set *set, const struct uuid *item); /* does nothing when it is there */
void uuid_set_remove(struct uuid_set *set, const struct uuid *item);

/* A member of a channel in another process. */
struct distant {
    struct uuid_node node; /* of its channel's; key: the client */
    struct uuid user, peer;
    bool is_stale; /* its process is sending its state and has not named it yet */
};

struct distant_channel {
    struct uuid_node node; /* of the roster's; key: the id of the channel */
    enum channel_kind kind;
    struct uuid_map members;
};

/* What presence keeps of one company, while a process watches it: this one or another. */
struct roster {
    struct uuid_node node; /* of the rosters; key: the company */
    struct presence *presence;
    struct tenant *tenant; /* NULL: its channels have no subscribers here */

    struct uuid_set watchers; /* other processes that watch: they get the state and changes of our members */
    struct buf changes;       /* not sent to them yet */
    bool must_resend;         /* a message could not be sent, so the watchers get the state again */

    bool is_watching;
    size_t join_leave_count; /* subscribers here that want joins and leaves */
    ev_tstamp watch_until;
    struct uuid_set awaited;          /* processes whose state has not come yet */
    struct uuid_map channels;         /* with distant members */
    struct presence_request *waiting; /* for the awaited states, until `limit` */
    ev_timer limit;

    bool dirty;
    struct roster *next_dirty;
};

struct peer {
    struct uuid_node node; /* key: the process's id, with which its peer key ends */
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
void roster_tidy(struct roster *roster);  /* frees it when no process watches any more */
void roster_touch(struct roster *roster); /* it has changes to send when the gathering time ends */
void roster_watch(struct roster *roster); /* asks every process for its state */
/* Answers the waiting requests when no state is awaited any more. */
void roster_settle(struct roster *roster);

/* distant.c */
/* A process reports that a member has joined one of its channels, or has left it. */
void roster_apply(struct roster *roster, const struct uuid *peer, bool joined, enum channel_kind kind,
                  const struct uuid *channel, const struct member *member);
/* Which members of a process are forgotten: all; none yet, but all are marked stale (its state begins);
 * those that are still stale (its state has ended without them). */
enum roster_forget { FORGET, FORGET_LATER, FORGET_STALE };
/* peer NULL: the members of every process, without sending leaves. */
void roster_forget_peer(struct roster *roster, const struct uuid *peer, enum roster_forget what);
/* The hub's channel; NULL when it has no subscribers in this process. */
struct channel *roster_channel_here(const struct roster *roster, enum channel_kind kind,
                                    const struct uuid *id);
/* Gathers a join or leave for the channel's subscribers here that want them. */
void roster_add_change(struct roster *roster, struct channel *channel, const struct member *member,
                       bool joined);
struct distant_channel *distant_channel_find(const struct roster *roster, const struct uuid *id);

/* peers.c */
void presence_expire(struct presence *presence); /* drops the processes that are silent */

/* wire.c */
void wire_beat(struct presence *presence, bool hello);
void wire_watch(struct roster *roster, const struct uuid *peer, bool watch); /* peer NULL: to every process */
void wire_change(struct roster *roster, bool joined, const struct channel *channel,
                 const struct member *member);
void wire_changes_flush(struct roster *roster);
void wire_state(struct presence *presence, const struct uuid *company, struct roster *roster,
                const struct uuid *peer);
