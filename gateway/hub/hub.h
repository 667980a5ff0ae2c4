#pragma once
/* Channels and their subscribers in this process, fed by the events of the broker and healed from the database.
 *
 *   hub_on_event ─▶ tenant (one a company): stream in order of seq, without gaps or repeats
 *                       ├─▶ channel company:<id> ─▶ subscribers ─▶ protocol (what bytes an event becomes) ─▶ socket
 *                       ├─▶ channel project:<id> ─▶ …
 *                       └─▶ channel of several projects ─▶ …
 *
 *   subscriber:  hub_subscribe ─▶ WAITING ─▶ RECOVERING ─▶ LIVE ─▶ lost
 *                                    └─▶ refused  └─▶ lost
 *
 * - The events of one turn of the loop become one piece of bytes a channel and protocol, shared by all its subscribers.
 * - offset is the company's seq, also on project channels (where gaps in it mean nothing missed).
 * - An event that was overtaken is waited for (gap_wait_ms), then read from the events table; nobody gets a later one
 *   before it. The position is compared with the database after every (re)binding and now and then, so what the
 *   broker lost is found and read too: after a gap sockets stay open and get what they missed, in order, which costs one query
 *   a company where reconnecting would cost every socket a handshake and a recovery.
 * - A subscriber that gives epoch and offset gets what it missed, from memory when recent, else from the database, a
 *   page at a time so that its output stays bounded, and then goes on live.
 * - When a company's stream cannot go on (epoch changed, events dropped by retention), its subscribers are lost: told
 *   to subscribe again with their position.
 */

#include "common/base/buf.h"
#include "common/broker/envelope.h"
#include "gateway/gateway.h"
#include "gateway/hub/stream.h"

struct hub;
struct hub_request;
struct hub_query;
struct channel;
struct subscriber;

struct hub *hub_new(struct gateway *gateway);
void hub_free(struct hub *hub); /* subscribers that are left are let go without a word */

/* Called by commands.c. */

/* For every event of a watched company. Refusals (seq 0) and other companies are not for us and are dropped. */
void hub_on_event(struct hub *hub, const struct event *event);
/* The broker has confirmed the binding of this company: what is published from now on will arrive. */
void hub_on_watched(struct hub *hub, const struct uuid *company);
/* The connection that brings events was lost and is back, with its bindings confirmed: events may have been missed. */
void hub_on_reconnect(struct hub *hub);

/* Channels. */

/* A set of projects is a channel too, without a name: one position for all of them, their events in one order. */
/* CHANNEL_OPERATION: what a long job says of itself as it goes on, without numbers and without a past; its beginning and its end are
 * events of the company too. */
enum channel_kind { CHANNEL_COMPANY, CHANNEL_PROJECT, CHANNEL_OPERATION, CHANNEL_PROJECTS };

#define CHANNEL_NAME_SIZE (sizeof("operation:") + UUID_TEXT_LEN)

/* "company:<id>" or "project:<id>", as channel_format writes it; false for anything else. */
bool channel_parse(struct slice name, enum channel_kind *ret_kind, struct uuid *ret_id);
/* "project:<id>,project:<id>", 1 to `max` names, as one channel: the company's where it is among them, which has their
 * events; `projects` has room for `max`. Fills in kind, id and projects of the request. BAD_REQUEST for what is no name, or too
 * many; FORBIDDEN for two companies. */
enum err channel_parse_list(struct slice names, struct uuid *projects, size_t max,
                            struct hub_request *request) MUST_CHECK;
/* The name and a NUL; of one that has a name. */
void channel_format(enum channel_kind kind, const struct uuid *id, char name[CHANNEL_NAME_SIZE]);
void channel_name(const struct channel *channel, char name[CHANNEL_NAME_SIZE]);
const char *channel_epoch(const struct channel *channel); /* of the stream that offsets count in */

/* "{id,id}", as PostgreSQL reads an array; `list` takes PROJECT_LIST_MAX of them. */
#define PROJECT_LIST_MAX(count) ((count) * (UUID_TEXT_LEN + 1) + 2)
void project_list_format(const struct uuid *projects, size_t count, struct buf *list);

/* Subscribing. */

#define EPOCH_SIZE 17

struct hub_request {
    struct uuid company; /* of the one who asks */
    enum channel_kind kind;
    struct uuid id;
    const struct uuid *projects; /* of CHANNEL_PROJECTS: ascending, each once; id is derived from them */
    size_t project_count;
    bool recover;
    struct slice epoch; /* "" or SLICE_NONE: any */
    int64_t offset;
};

struct hub_start {
    const char *epoch;
    int64_t offset; /* what follows is newer; the one asked for when publications come along */
    bool recover;   /* was asked for */
    bool recovered; /* nothing is missing between the offset asked for and what follows */
    const struct publication *const *publications;
    size_t publication_count;
};

/* One who is on a channel, and how it changes. */
struct member {
    struct uuid client, user;
};

struct member_change {
    struct member member;
    bool joined; /* or left */
};

/* What a kind of client makes of a channel. Constant. A subscriber may be unsubscribed inside any of these, but its
 * memory must stay until the call returns, except where the hub has let go of it before. */
struct subscriber_protocol {
    /* One piece of bytes for these events (at least one), in their order. */
    struct bytes *(*encode)(const struct channel *channel, const struct publication *const *publications,
                            size_t count);
    void (*on_started)(struct subscriber *subscriber, const struct hub_start *start);
    void (*on_publications)(struct subscriber *subscriber, struct bytes *encoded);
    /* Let go: NOT_FOUND (no such company), FORBIDDEN (not of this company, or no such project), or why it could not be found out. */
    void (*on_refused)(struct subscriber *subscriber, enum err err);
    /* Let go: subscribe again with the last position. */
    void (*on_lost)(struct subscriber *subscriber);
    /* Bytes that its socket has not taken yet. */
    size_t (*backlog)(const struct subscriber *subscriber);
    /* Who the subscriber is, for the others; false (or NULL): nobody that they should see. */
    bool (*member)(const struct subscriber *subscriber, struct member *ret_member);
    /* One piece of bytes for those who want to hear who comes and goes, given to on_publications. */
    struct bytes *(*encode_members)(const struct channel *channel, const struct member_change *changes,
                                    size_t count);
};

enum subscriber_state { SUBSCRIBER_OUT, SUBSCRIBER_WAITING, SUBSCRIBER_RECOVERING, SUBSCRIBER_LIVE };

/* One client on one channel: a part of the client's own struct, all zero but for `protocol` and `join_leave` before it
 * subscribes. */
struct subscriber {
    const struct subscriber_protocol *protocol;
    struct channel *channel;
    struct subscriber *previous, *next;
    struct start *start; /* until it is live */
    int64_t after;       /* gets only what is newer */
    enum subscriber_state state;
    bool join_leave; /* wants to hear who comes and goes */
};

/* The answer is on_started or on_refused, at once or later. */
void hub_subscribe(struct hub *hub, struct subscriber *subscriber, const struct hub_request *request);
void hub_unsubscribe(struct subscriber *subscriber); /* also of one that is not subscribed */

/* Where a live subscriber stands: everything on its channel up to there has been handed to it, however quiet the channel
 * is. False for one that is not live. */
bool hub_position(const struct subscriber *subscriber, const char **ret_epoch,
                  int64_t *ret_offset) MUST_CHECK;

/* History. */

enum { HUB_HISTORY_MAX = 1000 }; /* the most that ws_history_max can be */

struct hub_history_request {
    int64_t limit; /* 0: only where the stream stands; negative: as many as one answer has */
    bool has_since, reverse;
    struct slice epoch; /* of since; "" or SLICE_NONE: any */
    int64_t offset;     /* of since: exclusive, both ways */
};

/* One question, a part of the asker's own struct, all zero but for on_answer before it is asked. */
struct hub_history {
    /* Once, unless it is forgotten. CONFLICT: that position is not of this stream, or no longer kept. */
    void (*on_answer)(struct hub_history *history, enum err err);
    /* The answer: where the stream stood, and what was asked for, in that order; valid during the call. */
    char epoch[EPOCH_SIZE];
    int64_t last;
    const struct publication *const *publications;
    size_t count;

    struct hub_query *query; /* on its way */
    size_t bytes_max;
    int64_t next_seq; /* that the database must have; 0: any */
};

/* Of one who is live. Answered inside the call or later; the subscriber may have left by then. */
void hub_history(struct subscriber *subscriber, const struct hub_history_request *request,
                 struct hub_history *history);
void hub_history_forget(struct hub_history *history); /* also of one that was never asked */
