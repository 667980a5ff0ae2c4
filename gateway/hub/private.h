#pragma once
/* Inside of the hub: for this room and gateway/hub/presence only.
 *
 *   hub.c           what other rooms call: events come in, subscribers come and go; the turn of the loop
 *   tenant.c        a company's state here, made for its first subscriber and kept a while after the last
 *   channel.c       channels: may this company have one; subscribers enter and leave; their state
 *   channel_name.c  the names of channels
 *   right.c         whether a subscriber may have its channel, and still may
 *   view.c          to which projects the user of a company's subscriber is tied, and when that changes
 *   ties.c          these ties: reading them, and which events may change them
 *   audience.c      what of the channel's events a subscriber sees
 *   catch_up.c      where a company's stream stands in the database, and reading the gaps in what arrived
 *   missed.c        SQL: a range of a channel's events
 *   start.c         a subscriber from WAITING to LIVE: recovery from memory and from the database
 *   history.c       the past events of a channel, on request
 *   deliver.c       the events of a turn, to the subscribers of their channels
 *   shares.c        those who see the same of a delivery
 *   event_text.c    what the hub reads of an event's JSON
 *   query.c         database queries whose owner may go before the answer comes
 *
 * What must hold: everything runs on the gateway's loop. A tenant outlives its channels, a channel its
 * subscribers, and nobody is freed inside of its own callback: empty channels are freed when the turn ends
 * (tenant_sweep).
 */

#include "common/base/uuid_map.h"
#include "common/db/db.h"
#include "gateway/hub/audience.h"
#include "gateway/hub/event_text.h"
#include "gateway/hub/hub.h"

enum {
    TENANT_LINGER_MS = 60000, /* without subscribers: a client that returns recovers from memory */
    HUB_PAGE = 128,           /* events read from the database, or recovered, in one go */
    HUB_FRAME_BYTES = 65536,  /* events of a turn, or recovered, are split into pieces of about this */
    RECOVERY_PACE_MS = 20,    /* until the backlog of a recovering subscriber is looked at again */
    READ_RETRY_MAX_MS = 500,
};

/* query.c: `answer` is called once, unless the owner forgets the query first. */
typedef void hub_on_answer(void *owner, struct db_result *result);
enum err hub_query_send(struct hub *hub, struct slice company, const struct db_statement *statement,
                        const struct slice *params, size_t param_count, hub_on_answer *answer, void *owner,
                        struct hub_query **ret_query) MUST_CHECK;
void hub_query_forget(struct hub_query **query); /* NULL inside is fine */
void hub_queries_detach(struct hub *hub);        /* the hub goes: the answers that still come are dropped */

struct channel {
    struct uuid_node node; /* of the tenant's projects, or of its sets; key: its id */
    struct tenant *tenant;
    enum channel_kind kind;
    const struct uuid
        *projects; /* the channel has the events of these, ascending; none: all of the company's */
    size_t project_count;
    bool open;                         /* this company may have it */
    struct hub_query *check;           /* the query that finds out whether it may */
    struct subscriber *live, *waiting; /* waiting: the recovering ones too */
    int64_t dirty_from;                /* first event of this turn, 0: none */
    struct channel *next_dirty, *next_empty;
    size_t join_leave_count;       /* of the live: those that want joins and leaves */
    struct member_change *changes; /* joins and leaves that they have not been sent yet */
    size_t change_count, change_capacity;
    bool in_empty;           /* has no subscriber left: looked at when the turn ends */
    struct hub_query *right; /* whether its subscribers may still have it */
    bool right_again;        /* to be asked again after that answer */
};

/*   position unknown ──catch_up_check──▶ known ⇄ a gap is waited for, then read
 *          ▲                              │
 *          └──────── tenant_lost ─────────┘
 */
struct tenant {
    struct uuid_node node; /* of the hub's tenants; key: the company */
    struct hub *hub;
    char company[UUID_TEXT_LEN + 1];
    char epoch[EPOCH_SIZE]; /* "": the position is unknown */
    struct stream stream;
    int64_t flushed; /* the live subscribers have everything up to here */
    struct channel *company_channel;
    struct uuid_map projects, sets, operations;
    struct uuid_map views; /* by their users */
    struct channel *empty; /* channels that may have no subscriber left */
    size_t subscribers;

    struct roster *roster; /* presence's; NULL: no process watches who is on the company's channels */

    bool dirty; /* has events to flush in this turn, or empty channels */
    struct tenant *next_dirty;

    struct hub_query *position_query, *fill_query;
    bool check_again;      /* the position was asked for while an answer was on its way */
    ev_timer check;        /* the next comparison with the database; also the end of lingering */
    ev_timer gap;          /* when the missing events are read, or read again */
    int64_t gap_from;      /* the first missing seq; 0: there is no gap */
    int64_t fill_from;     /* the one that fill_query reads from */
    ev_tstamp gap_since;   /* when gap_from began to be missing */
    ev_tstamp retry;       /* seconds until the next try */
    uint64_t positions;    /* answers to position_query */
    int64_t heard_before;  /* the stream's last event when position_query was sent */
    ev_tstamp empty_since; /* 0: has subscribers */
};

/* What the hub reports to presence, which stands above it. Constant. */
struct hub_listener {
    void (*on_tenant_new)(struct tenant *tenant);
    void (*on_tenant_bound)(struct tenant *tenant); /* the broker has confirmed the company's binding */
    void (*on_tenant_free)(struct tenant *tenant);
    void (*on_live)(struct subscriber *subscriber);
    void (*on_left)(struct subscriber *subscriber); /* it was live, and is still on its channel's list */
};

struct hub {
    struct gateway *gateway;
    const struct hub_listener *listener; /* NULL: nobody listens */
    struct uuid_map tenants;
    struct tenant *dirty;
    struct hub_query *queries; /* on their way; detached when the hub goes */
    unsigned short random[3];
    ev_prepare turn; /* flushes before the loop sleeps, before conn writes */
};

/* tenant.c */
/* NULL: the company has had no subscribers here for a while. */
struct tenant *hub_tenant(const struct hub *hub, const struct uuid *company);
struct tenant *tenant_new(struct hub *hub, const struct uuid *company);
void tenant_free(struct tenant *tenant);
void tenant_touch(struct tenant *tenant); /* there is something to do when the turn ends */
void tenant_sweep(struct tenant *tenant); /* frees the channels that have no subscriber */
void tenant_each_channel(struct tenant *tenant, void (*visit)(struct channel *channel, void *arg), void *arg);
/* Compares the position with the database in so many seconds, instead of when it would have. */
void tenant_schedule_check(struct tenant *tenant, ev_tstamp seconds);
/* Every subscriber that has started gets on_lost. The position is unknown again, and asked for if others
 * wait for it. */
void tenant_lost(struct tenant *tenant, const char *why);

/* catch_up.c */
bool catch_up_knows_position(const struct tenant *tenant);
/* Asks the database where the stream stands. Several calls may share one answer, but each is answered by a
 * query that was sent after the call. */
enum err catch_up_check(struct tenant *tenant);
/* The stream has changed: its new events are to be flushed, its gaps to be waited for. */
void catch_up_progress(struct tenant *tenant);
void catch_up_on_gap_timer(struct ev_loop *loop, ev_timer *timer, int events);

/* channel.c */
struct channel *channel_obtain(struct tenant *tenant, const struct hub_request *request);
void channel_free(struct channel *channel); /* it has no subscriber */
bool channel_has(const struct channel *channel, const struct publication *publication);
/* Starts the waiting subscribers, or asks the database for what is not known yet. */
void channel_proceed(struct channel *channel);
void channel_refuse(struct channel *channel, enum err err); /* every subscriber that is WAITING */
void subscriber_enter(struct subscriber *subscriber, struct channel *channel, enum subscriber_state state);
void subscriber_leave(struct subscriber *subscriber); /* its list and its start; the channel stays */
void subscriber_set_state(struct subscriber *subscriber, enum subscriber_state state);

/* right.c */
/* Whether a role may have a channel of the kind at all. */
bool right_is_possible(enum channel_kind kind, enum msg_role role);
/* Whether the subscriber's right depends on the user, and so on the database. */
bool right_is_asked(const struct subscriber *subscriber);
/* True: the waiting subscriber may start. Else it has been refused, or channel_proceed is called again later. */
bool right_holds(struct subscriber *subscriber);
void right_ask_again(struct channel *channel);
/* Asks again where this event may have ended a right. */
void right_look_at(struct tenant *tenant, const struct publication *publication);

/* view.c */
struct view {
    struct uuid_node node; /* of the tenant's views; key: the user */
    struct tenant *tenant; /* NULL: it is gone */
    size_t refs;
    struct ties ties;
    bool is_known;           /* they have been read */
    bool is_stale;           /* an event may have changed them since */
    int64_t held_at;         /* if stale: the live subscribers have everything up to here */
    struct hub_query *query; /* for them, on its way */
    bool again;              /* to be asked again after that answer */
    ev_tstamp read_at;
};
struct view *view_obtain(struct tenant *tenant, const struct uuid *user);
struct view *view_ref(struct view *view);
void view_unref(struct view *view); /* NULL is fine */
bool view_is_ready(const struct view *view);
/* Asks for the ties, unless an answer is on its way. Then the subscribers that wait go on. */
enum err view_ask(struct view *view) MUST_CHECK;
/* Looks at the events after that one, which are to be flushed: they may change what their subscribers see. */
void views_look(struct tenant *tenant, int64_t after);
void views_check(struct tenant *tenant); /* reads some of them again */
void views_done(struct tenant *tenant);

/* missed.c */
/* $1 company, $2 after, $3 up to, $4 limit */
extern const struct db_statement hub_events;
/* Reads an event row (seq, project, text) of hub_events. */
struct publication publication_of_row(struct db_result *result, int row);
/* Asks for the channel's events in (after, up_to], `page` of them at most. */
enum err missed_read(struct channel *channel, int64_t after, int64_t up_to, int page, hub_on_answer *answer,
                     void *owner, struct hub_query **ret_query) MUST_CHECK;
struct missed {
    int first_row, row_count; /* of the answer: the events, as hub_events has them */
    int64_t last;             /* these are all of the channel's events up to there */
};
/* False: the event after `after` is not there, so the rows do not show what the subscriber has missed. */
bool missed_answer(const struct channel *channel, const struct db_result *result, int64_t after, int page,
                   struct missed *ret_missed) MUST_CHECK;
/* Asks how many events a channel of projects has after that one, counting up to `limit`. */
enum err missed_count(struct channel *channel, int64_t after, int64_t limit, hub_on_answer *answer,
                      void *owner, struct hub_query **ret_query) MUST_CHECK;

/* start.c */
struct start *start_new(struct subscriber *subscriber, const struct hub_request *request);
void start_free(struct start *start);
enum right_state { RIGHT_UNKNOWN, RIGHT_ASKED, RIGHT_HELD };
enum right_state start_right(const struct start *start);
void start_set_right(struct start *start, enum right_state right);
struct hub_query **start_right_query(struct start *start);
/* Back to WAITING, as if it had just subscribed. False: on_started has been called, so that is too late. */
bool start_again(struct subscriber *subscriber) MUST_CHECK;
/* The position is known and the channel is open: becomes RECOVERING or LIVE, or waits for another answer. */
void start_begin(struct subscriber *subscriber);
/* The subscriber's view is ready: if it is RECOVERING, it goes on. */
void start_go_on(struct subscriber *subscriber);

/* deliver.c */
void tenant_flush(struct tenant *tenant);
/* Sends a publication that is no event of the company to the channel's live subscribers, at once. */
void channel_send(struct channel *channel, const struct publication *publication);
/* Sends the view's live subscribers what they have not got yet. It is in memory. */
void channel_deliver_held(struct channel *channel, const struct view *view);
struct viewer subscriber_viewer(const struct subscriber *subscriber);
