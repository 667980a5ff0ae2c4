#pragma once
/* What the files of a connection share: conn.c (its life, time limits, output), conn_input.c (reading),
 * conn_slow.c (clients that do not read), conn_input_total.c (clients that do not finish), conn_room.c (who
 * makes room for whom), conn_guest.c (those without room), conn_drain.c (leaving) and conn_set.c (the
 * connections of a process). */

#include "common/base/buf.h"
#include "gateway/gateway.h"
#include "gateway/limit/addresses.h"
#include "gateway/net/conn.h"
#include "gateway/net/output.h"

enum {
    CONN_READ_SIZE = 64 * 1024, /* the read buffer, and what is kept at most while a connection is paused */
};

enum conn_state { CONN_OPEN, CONN_CLOSING, CONN_LINGERING, CONN_DEAD };

struct conn {
    struct ev_io io;
    /* Armed for the earliest deadline or earlier, so that putting a deadline off costs nothing. */
    struct ev_timer timer;
    /* Milliseconds of the monotonic clock. */
    int64_t wakes_at;       /* when the timer runs out; 0: not armed */
    int64_t deadline;       /* of conn_limit; 0: none */
    int64_t write_deadline; /* by which the peer must have taken some output; 0: none */
    struct conn_set *set;
    const struct conn_protocol *protocol;
    void *protocol_state;
    struct conn_record *record; /* NULL: there is none */
    struct output output;
    struct buf *kept;             /* bytes that have arrived and are not consumed; NULL: none */
    size_t input;                 /* octets that were counted in set->input_held */
    struct conn *previous, *next; /* in set->all */
    struct conn *next_dirty;
    struct conn *next_dead;
    struct seat seat; /* of the connections of its address */
    uint8_t address[16];
    uint8_t family;
    uint8_t state; /* enum conn_state; only set_state in conn.c changes it */
    bool paused : 1;
    bool ended : 1; /* the peer has sent its last byte */
    bool end_told : 1;
    bool throttled : 1; /* kept is full: the socket is not read */
    bool blocked : 1;   /* the socket takes no more output */
    bool dirty : 1;     /* in set->dirty */
    bool overflowed : 1;
    bool is_long_lived : 1; /* a stream, or treated as one (conn_set_long_lived) */
    bool drain_told : 1;    /* on_drain has been called */
    bool offering : 1;      /* inside on_bytes */
    bool guest : 1;         /* in set->guests */
    bool counted : 1;       /* in the connections of its address */
    bool known : 1;         /* its client has shown a valid token */
};

struct conn_drain {
    struct ev_timer tick;
    int64_t began;     /* 0: not yet. Milliseconds of the monotonic clock, as those below */
    int64_t ms;        /* over which the streams are spread */
    int64_t filled;    /* when the bucket was last filled */
    int64_t last_told; /* when the last stream was told to leave */
    int64_t bucket;    /* what may be told now, in thousandths of a stream */
    size_t count;      /* streams when the drain began, and those that came since */
    size_t told;       /* of them, those that have been told to leave */
};

struct conn_set {
    struct gateway *gateway;
    struct ev_loop *loop;
    struct output_pool pool;
    struct conn *all;
    struct conn *dirty; /* connections with output that has not been tried in this turn */
    struct conn *dead;
    size_t count;
    size_t kept_max;
    struct conn *guests[CONN_GUESTS_MAX]; /* the first to come first */
    size_t guest_count;
    size_t dead_count;
    size_t made_room; /* connections that were ended for others since that was last logged */
    int64_t made_room_logged_at;
    size_t input_held; /* memory for input, of all connections that are not dead */
    int64_t now;       /* when this turn of the loop began: milliseconds of the monotonic clock */
    int64_t now_us;    /* the same in microseconds */
    struct ev_check begin_of_turn;
    struct ev_prepare end_of_turn;
    struct ev_idle again; /* while it runs, the loop does not sleep before its next turn */
    bool ending;          /* inside end_of_turn */
    struct conn_drain drain;
    void (*on_freed)(void *arg);
    void *on_freed_arg;
    char read_buffer[CONN_READ_SIZE];
};

/* conn.c */
void conn_kill(struct conn *conn);           /* makes it DEAD; it is freed at the end of the turn */
void conn_reap(struct conn *conn);           /* frees it */
void conn_update_events(struct conn *conn);  /* watches the socket for what is wanted from it now */
void conn_flush(struct conn *conn);          /* writes as much output as the socket takes */
void conn_check_overflow(struct conn *conn); /* tells the protocol, once, that too much output waits */

/* conn_slow.c */
/* Ends the slowest connections until all output that waits fits output_total_bytes. */
void conn_set_bound_output(struct conn_set *set);

/* conn_room.c */
/* Counts the new connection among those of its address. False: there is no room, and nothing is counted. */
bool conn_find_room(struct conn *conn, bool is_full);
void conn_note_kind(struct conn *conn); /* after something that may have changed how gladly it makes room */
void conn_give_room(struct conn *conn); /* takes it out of the counts again */

/* conn_guest.c */
void conn_make_guest(struct conn *conn);
void conn_forget_guest(struct conn *conn);

/* conn_input_total.c */
/* Ends the connections with the most input until all of it fits input_total_bytes. */
void conn_set_bound_input(struct conn_set *set);

/* conn_drain.c */
void conn_drain_joined(
    struct conn *conn); /* it has become a stream: a drain that is under way counts it in */

/* conn_input.c */
void conn_on_io(struct ev_loop *loop, struct ev_io *io, int revents);
void conn_drop_kept(struct conn *conn);       /* frees the bytes that are kept */
bool conn_can_offer(const struct conn *conn); /* the protocol may be offered bytes now */
void conn_offer_soon(struct conn *conn);      /* offers what is kept from the loop */
