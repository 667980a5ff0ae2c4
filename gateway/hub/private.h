#pragma once
/* Inside of the hub: for hub*.c only.
 *
 *   hub.c           tenants: made for their first subscriber, kept a while after the last; events come in here
 *   catch_up.c  where a company's stream stands, and reading what is missing from the database
 *   channel.c   channels: may this company have it; coming and going
 *   channel_name.c      the names of channels
 *   missed.c    what a channel's subscriber has missed, as the database has it
 *   start.c     from WAITING to LIVE: recovery from memory and from the database
 *   history.c   what happened before, for one who asks
 *   deliver.c   the events of a turn to the subscribers of their channels
 *   query.c     database queries that outlive nobody
 */

#include "common/base/uuid_map.h"
#include "common/db/db.h"
#include "gateway/hub/hub.h"

enum {
    TENANT_LINGER_MS = 60000, /* watched without subscribers: who returns recovers from memory */
    HUB_PAGE = 128,           /* events read from the database, or recovered, in one go */
    HUB_FRAME_BYTES = 65536,  /* events of a turn, or recovered, are split into pieces of about this */
    RECOVERY_PACE_MS = 20,    /* until the backlog of one who recovers is looked at again */
    READ_RETRY_MAX_MS = 500,
};

/* query.c: `answer` is called once, unless the owner forgets the query first. */
typedef void hub_on_answer(void *owner, struct db_result *result);
enum err hub_query_send(struct hub *hub, struct slice company, const struct db_statement *statement,
                        const struct slice *params, size_t param_count, hub_on_answer *answer, void *owner,
                        struct hub_query **ret_query) MUST_CHECK;
void hub_query_forget(struct hub_query **query); /* NULL inside is fine */
void hub_queries_detach(struct hub *hub);        /* the hub goes: what comes back finds nobody */

struct channel {
    struct uuid_node node; /* of the tenant's projects, or of its sets; key: its id */
    struct tenant *tenant;
    enum channel_kind kind;
    const struct uuid *projects; /* whose events it has, ascending; none: the company's */
    size_t project_count;
    bool open;                         /* this company may have it */
    struct hub_query *check;           /* whether it may is being asked */
    struct subscriber *live, *waiting; /* waiting: those who recover too */
    int64_t dirty_from;                /* first event of this turn, 0: none */
    struct channel *next_dirty, *next_empty;
    size_t listeners;              /* of the live: those who want to hear who comes and goes */
    struct member_change *changes; /* that they have not heard yet */
    size_t change_count, change_capacity;
    bool in_empty; /* nobody is left: looked at when the turn ends */
};

/*   position unknown ──hub_position_check──▶ known ⇄ a gap is waited for, then read
 *          ▲                                   │
 *          └──────────── tenant_lost ──────────┘
 */
struct tenant {
    struct uuid_node node; /* of the hub's tenants; key: the company */
    struct hub *hub;
    char company[UUID_TEXT_LEN + 1];
    char epoch[EPOCH_SIZE]; /* "": the position is unknown */
    struct stream stream;
    int64_t flushed; /* those who are live have everything up to here */
    struct channel *company_channel;
    struct uuid_map projects, sets, operations;
    struct channel *empty; /* channels that nobody may be left on */
    size_t subscribers;

    struct roster *roster; /* somebody watches who is here; NULL: nobody does */

    bool dirty; /* has events to flush in this turn, or empty channels */
    struct tenant *next_dirty;

    struct hub_query *position_query, *fill_query;
    bool check_again;      /* the position was asked for while an answer was on its way */
    ev_timer check;        /* the next comparison with the database; also the end of lingering */
    ev_timer gap;          /* when the missing is read, or read again */
    int64_t gap_from;      /* the first missing seq; 0: there is no gap */
    int64_t fill_from;     /* the one that fill_query reads from */
    ev_tstamp gap_since;   /* when gap_from began to be missing */
    ev_tstamp retry;       /* seconds until the next try */
    uint64_t positions;    /* answers to position_query */
    ev_tstamp empty_since; /* 0: has subscribers */
};

struct hub {
    struct gateway *gateway;
    struct uuid_map tenants;
    struct tenant *dirty;
    struct hub_query *queries; /* on their way; detached when the hub goes */
    unsigned short random[3];
    ev_prepare turn; /* flushes before the loop sleeps, before conn writes */
};

/* hub.c */
struct tenant *hub_tenant(const struct hub *hub, const struct uuid *company); /* NULL: nobody is here */
void tenant_touch(struct tenant *tenant); /* there is something to do when the turn ends */
void tenant_each_channel(struct tenant *tenant, void (*visit)(struct channel *channel, void *arg), void *arg);
/* Everybody is let go with on_lost and the position is unknown again. */
void tenant_lost(struct tenant *tenant, const char *why);
/* The event's JSON as lines can carry it; takes over the reference. */
struct bytes *event_body(struct bytes *body);
/* Reads an event row (seq, project, body) of hub_events. */
struct publication publication_of_row(struct db_result *result, int row);

/* catch_up.c */
/* $1 company, $2 after, $3 up to, $4 limit */
extern const struct db_statement hub_events;
bool hub_position_known(const struct tenant *tenant);
/* Asks; several calls may share one answer, but each gets one to a question that was sent after it. */
enum err hub_position_check(struct tenant *tenant);
/* The stream has changed: its new events are to be flushed, its gaps to be waited for. */
void hub_position_progress(struct tenant *tenant);
void hub_on_gap_timer(struct ev_loop *loop, ev_timer *timer, int events);

/* channel.c */
struct channel *channel_obtain(struct tenant *tenant, const struct hub_request *request);
void channel_free(struct channel *channel); /* nobody is on it */
bool channel_has(const struct channel *channel, const struct publication *publication);
/* Starts those who wait, or asks for what is not known yet. */
void channel_proceed(struct channel *channel);
void channel_refuse(struct channel *channel, enum err err); /* all who have not been answered */
void subscriber_enter(struct subscriber *subscriber, struct channel *channel, enum subscriber_state state);
void subscriber_leave(struct subscriber *subscriber); /* its list and its start; the channel stays */

/* missed.c */
/* Asks for the channel's events in (after, up_to], `page` of them at most. */
enum err missed_read(struct channel *channel, int64_t after, int64_t up_to, int page, hub_on_answer *answer,
                     void *owner, struct hub_query **ret_query) MUST_CHECK;
struct missed {
    int first_row, row_count; /* of the answer: the events, as hub_events has them */
    int64_t last;             /* these are all of the channel's up to there */
};
/* False: the event after `after` is not there, so that what follows it says nothing. */
bool missed_answer(const struct channel *channel, const struct db_result *result, int64_t after, int page,
                   struct missed *ret_missed) MUST_CHECK;
/* Asks how many events a channel of projects has after that one, counting up to `limit`. */
enum err missed_count(struct channel *channel, int64_t after, int64_t limit, hub_on_answer *answer,
                      void *owner, struct hub_query **ret_query) MUST_CHECK;

/* presence.c: who is on the channels */
void presence_tenant_came(struct tenant *tenant);
void presence_tenant_bound(struct tenant *tenant);
void presence_tenant_goes(struct tenant *tenant);
void presence_entered(struct subscriber *subscriber); /* it is live */
void presence_left(struct subscriber *subscriber);    /* it was, and is still on its channel's list */

/* start.c */
struct start *start_new(struct subscriber *subscriber, const struct hub_request *request);
void start_free(struct start *start);
/* The position is known and the channel is open: becomes RECOVERING or LIVE, or waits for another answer. */
void start_begin(struct subscriber *subscriber);

/* deliver.c */
void tenant_flush(struct tenant *tenant);
/* Something that is not an event of the company: for those who are live, now. */
void channel_tell(struct channel *channel, const struct publication *publication);
