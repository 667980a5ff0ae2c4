#pragma once
/* The hub has the channels and their subscribers of this process. It gets events from the broker, reads from
 * the database those that the broker lost, and hands each subscriber the events of its channel, in order of
 * seq.
 *
 *   hub_on_event ─▶ tenant (one a company): stream in order of seq, without gaps or repeats
 *                       ├─▶ channel company:<id> ─▶ subscribers ─▶ protocol (encodes events) ─▶ socket
 *                       ├─▶ channel project:<id> ─▶ …
 *                       └─▶ channel of several projects ─▶ …
 *
 * - A tenant is what this process keeps of a company while it has subscribers here, and a while after.
 * - The events of one turn of the loop are encoded once for a channel and protocol; all its subscribers share
 *   the bytes.
 * - A subscriber's offset is the company's seq. On project channels seqs are missing between events, and
 *   nothing is lost.
 * - When an event arrives before an earlier one, the hub waits gap_wait_ms for the earlier one and then
 *   reads it from the table `events`. No subscriber gets the later one first. The hub compares its position
 *   with the database after every binding and every position_check_ms or so, and thereby finds events that
 *   the broker lost. Sockets stay open meanwhile: reading the gap costs one query a company, where
 *   reconnecting would cost each socket a handshake and a recovery.
 * - A subscriber that gives an epoch and an offset first gets what it has missed: from memory when it is
 *   recent, else from the database, one page at a time so that its output stays bounded. Then it is live.
 * - When a company's stream cannot go on (its epoch has changed, or missing events are no longer kept), its
 *   subscribers get on_lost, after which the client subscribes again with its position.
 */

#include "common/base/buf.h"
#include "common/broker/envelope.h"
#include "common/msg/rights.h"
#include "gateway/gateway.h"
#include "gateway/hub/stream.h"

struct hub;
struct hub_request;
struct hub_query;
struct channel;
struct subscriber;
struct view;
struct db_statement;

struct hub *hub_new(struct gateway *gateway);
void hub_free(struct hub *hub); /* subscribers that are left are dropped without a call */

/* What wiring.c passes on from the bus. */

/* An event has arrived. Refusals of commands and events of companies without subscribers here are dropped. */
void hub_on_event(struct hub *hub, const struct event *event);
/* The broker has confirmed the binding of this company: events that are published from now on will arrive. */
void hub_on_watched(struct hub *hub, const struct uuid *company);
/* The connection that brings events was lost and is back, with its bindings confirmed. Events may have
 * been missed, so the positions of all companies are compared with the database, spread over time. */
void hub_on_reconnect(struct hub *hub);

/* Channels. */

/* CHANNEL_OPERATION: the progress of a long job. These publications have no seq and are not kept; that the
 * job has begun and ended are events of the company besides. CHANNEL_PROJECTS: several projects as one
 * channel, with one position and their events in one order. It has no name. */
enum channel_kind { CHANNEL_COMPANY, CHANNEL_PROJECT, CHANNEL_OPERATION, CHANNEL_PROJECTS };

#define CHANNEL_NAME_SIZE (sizeof("operation:") + UUID_TEXT_LEN)

/* Reads a name as channel_format writes it: "company:<id>", "project:<id>" or "operation:<id>". False for
 * anything else. */
bool channel_parse(struct slice name, enum channel_kind *ret_kind, struct uuid *ret_id);
/* Reads 1 to `max` names, "project:<id>,project:<id>", as one channel, and fills in the request's kind, id
 * and projects. Where a company is among them, it is the company's channel, which has the projects' events
 * too. `projects` has room for `max`. BAD_REQUEST: something is no name of a company or project, or there
 * are too many. FORBIDDEN: two companies. */
enum err channel_parse_list(struct slice names, struct uuid *projects, size_t max,
                            struct hub_request *request) MUST_CHECK;
/* Write the name and a NUL. The channel must have a name. */
void channel_format(enum channel_kind kind, const struct uuid *id, char name[CHANNEL_NAME_SIZE]);
void channel_name(const struct channel *channel, char name[CHANNEL_NAME_SIZE]);
const char *channel_epoch(const struct channel *channel); /* offsets count in the stream of this epoch */

/* Writes "{id,id}", which PostgreSQL reads as an array. `list` needs room for PROJECT_LIST_MAX(count)
 * octets. */
#define PROJECT_LIST_MAX(count) ((count) * (UUID_TEXT_LEN + 1) + 2)
void project_list_format(const struct uuid *projects, size_t count, struct buf *list);

/* Subscribing. */

#define EPOCH_SIZE 17

/* What a subscriber asks for. */
struct hub_request {
    struct uuid company; /* the subscriber's own */
    struct uuid user;
    enum msg_role role; /* of its token */
    enum channel_kind kind;
    struct uuid id;
    const struct uuid *projects; /* of CHANNEL_PROJECTS: ascending, each once; id is derived from them */
    size_t project_count;
    bool recover;
    struct slice epoch; /* "" or SLICE_NONE: any */
    int64_t offset;
};

/* How a subscription starts. Valid during the call. */
struct hub_start {
    const char *epoch;
    int64_t offset; /* later publications are newer; with publications here, the offset that was asked for */
    bool recover;   /* recovery was asked for */
    bool recovered; /* no event is missing between the offset that was asked for and what follows */
    const struct publication *const *publications;
    size_t publication_count;
};

/* A client on a channel as presence shows it: the session's client id and its user. */
struct member {
    struct uuid client, user;
};

struct member_change {
    struct member member;
    bool joined; /* false: it left */
};

/* What one kind of client does with a channel's events. Constant. Each of these may unsubscribe the
 * subscriber, but may free it only in on_refused and on_lost, where the hub has dropped it already. */
struct subscriber_protocol {
    /* Encodes these events (at least one), in their order, as one piece of bytes. */
    struct bytes *(*encode)(const struct channel *channel, const struct publication *const *publications,
                            size_t count);
    void (*on_started)(struct subscriber *subscriber, const struct hub_start *start);
    void (*on_publications)(struct subscriber *subscriber, struct bytes *encoded);
    /* The subscriber is out. NOT_FOUND: there is no such company. FORBIDDEN: the channel is not this
     * company's, or there is no such project. Another error: the database could not say. */
    void (*on_refused)(struct subscriber *subscriber, enum err err);
    /* The subscriber is out, and its client should subscribe again with its last position. */
    void (*on_lost)(struct subscriber *subscriber);
    /* How many bytes its socket has not taken yet. */
    size_t (*backlog)(const struct subscriber *subscriber);
    /* Who the subscriber is, for presence. False, or no function: presence does not show it. */
    bool (*member)(const struct subscriber *subscriber, struct member *ret_member);
    /* Encodes joins and leaves as one piece of bytes, which on_publications gets for subscribers with
     * join_leave. */
    struct bytes *(*encode_members)(const struct channel *channel, const struct member_change *changes,
                                    size_t count);
};

/*   OUT ── hub_subscribe ──▶ WAITING ──▶ RECOVERING ──▶ LIVE
 *    ▲                        │  │           │            ▲  │
 *    │                        │  └─ no recovery ──────────┘  │     (lost before on_started: WAITING again)
 *    └── hub_unsubscribe, on_refused ────────┴── or on_lost ─┘
 */
enum subscriber_state { SUBSCRIBER_OUT, SUBSCRIBER_WAITING, SUBSCRIBER_RECOVERING, SUBSCRIBER_LIVE };

/* One client on one channel. It is a part of the client's own struct, and all zero but for `protocol` and
 * `join_leave` before it subscribes. */
struct subscriber {
    const struct subscriber_protocol *protocol;
    struct channel *channel;
    struct subscriber *previous, *next;
    struct start *start; /* until it is live */
    int64_t after;       /* gets only events with a greater seq */
    enum subscriber_state state;
    bool join_leave; /* wants joins and leaves */
    enum msg_role role;
    struct uuid user;
    struct view *view; /* what the user sees of the company's stream; NULL: its role alone says that */
};

/* $1 company, $2 users, $3 projects, $4 the conditions of each user's right (audience.h) → those users who may not have
 * the channels of all these projects. */
const struct db_statement *hub_right_statement(void);

/* The subscriber gets on_started or on_refused, inside the call or later. It loses the channel with the right to it. */
void hub_subscribe(struct hub *hub, struct subscriber *subscriber, const struct hub_request *request);
void hub_unsubscribe(struct subscriber *subscriber); /* does nothing when it is not subscribed */

/* Whether the subscriber may know who else is on its channel. On the company's, only those whose role reads all of it. */
bool hub_knows_presence(const struct subscriber *subscriber);

/* The position of a live subscriber: it has got every event of its channel up to there. The position moves
 * with the company's stream even when the channel has no events. False when the subscriber is not live. */
bool hub_position(const struct subscriber *subscriber, const char **ret_epoch,
                  int64_t *ret_offset) MUST_CHECK;

/* History. */

enum { HUB_HISTORY_MAX = 1000 }; /* the most that ws_history_max can be */

struct hub_history_request {
    int64_t limit; /* 0: only the stream's position; negative: as many events as one answer may have */
    bool has_since, reverse;
    struct slice epoch; /* of since; "" or SLICE_NONE: any */
    int64_t offset;     /* of since; its own event is left out, in both directions */
};

/* One request for history under way. It is a part of the caller's own struct, and all zero but for
 * on_answer before. */
struct hub_history {
    /* Called once, unless the request is forgotten. CONFLICT: the position is of another stream, or its
     * events are no longer kept. */
    void (*on_answer)(struct hub_history *history, enum err err);
    /* The answer: the stream's position, and the events in the order that was asked for. Valid during the
     * call. */
    char epoch[EPOCH_SIZE];
    int64_t last;
    const struct publication *const *publications;
    size_t count;

    struct hub_query *query; /* the query that has been sent; NULL: none */
    size_t bytes_max;
    int64_t next_seq;   /* the seq that the first row must have; 0: any */
    enum msg_role role; /* of the subscriber */
    struct uuid user;
    bool is_of_company;
    struct view *view;
};

/* The past events of a live subscriber's channel. Answered inside the call or later; the subscriber may
 * have left by then. */
void hub_history(struct subscriber *subscriber, const struct hub_history_request *request,
                 struct hub_history *history);
/* Does nothing before hub_history, or after the answer. */
void hub_history_forget(struct hub_history *history);
