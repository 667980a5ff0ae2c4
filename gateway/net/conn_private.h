#pragma once
/* What conn.c (life, time, output), conn_input.c (reading), conn_slow.c (readers that do not read), conn_drain.c (leaving) and
 * conn_set.c (the connections of a process) share. */

#include "common/base/buf.h"
#include "gateway/gateway.h"
#include "gateway/net/conn.h"
#include "gateway/net/output.h"

enum {
    CONN_READ_SIZE = 64 * 1024, /* the read buffer, and what is kept at most while a connection is paused */
};

enum conn_state { CONN_OPEN, CONN_CLOSING, CONN_LINGERING, CONN_DEAD };

struct conn {
    struct ev_io io;
    struct ev_timer
        timer;        /* armed for the earliest deadline or before it, so that moving one costs nothing */
    int64_t wakes_at; /* of the timer; 0: not armed. Milliseconds of the monotonic clock, as those below */
    int64_t deadline; /* conn_limit; 0: none */
    int64_t write_deadline;
    struct conn_set *set;
    const struct conn_protocol *protocol;
    void *protocol_state;
    struct output output;
    struct buf *kept;             /* arrived and not consumed; NULL: nothing */
    struct conn *previous, *next; /* in set->all */
    struct conn *next_dirty;
    struct conn *next_dead;
    uint8_t address[16];
    uint8_t family;
    uint8_t state; /* enum conn_state */
    bool paused : 1;
    bool ended : 1; /* the peer has sent its last byte */
    bool end_told : 1;
    bool throttled : 1; /* kept is full: the socket is not read */
    bool blocked : 1;   /* the socket takes no more output */
    bool dirty : 1;     /* in set->dirty */
    bool overflowed : 1;
    bool comes_back : 1; /* a stream, or as good as one */
    bool drain_told : 1;
    bool offering : 1; /* inside on_bytes */
};

struct conn_drain {
    struct ev_timer tick;
    int64_t began;     /* 0: not yet. Milliseconds of the monotonic clock, as those below */
    int64_t ms;        /* over which the streams are spread */
    int64_t filled;    /* when the bucket was last filled */
    int64_t last_told; /* when the last one was told to leave */
    int64_t bucket;
    size_t count, told; /* streams when it began and those that came since; told to leave */
};

struct conn_set {
    struct gateway *gateway;
    struct ev_loop *loop;
    struct output_pool pool;
    struct conn *all;
    struct conn *dirty; /* have output that nobody has tried to send in this turn */
    struct conn *dead;
    size_t count;
    size_t kept_max;
    int64_t now; /* of this turn, monotonic, in milliseconds */
    struct ev_check begin_of_turn;
    struct ev_prepare end_of_turn;
    struct ev_idle again; /* running: the loop must not sleep before its next turn */
    bool ending;          /* inside end_of_turn */
    struct conn_drain drain;
    void (*on_freed)(void *arg);
    void *on_freed_arg;
    char read_buffer[CONN_READ_SIZE];
};

/* conn.c */
void conn_kill(struct conn *conn);           /* DEAD; freed at the end of the turn */
void conn_reap(struct conn *conn);           /* frees it */
void conn_update_events(struct conn *conn);  /* watches the socket for what is wanted of it now */
void conn_flush(struct conn *conn);          /* writes what the socket takes */
void conn_check_overflow(struct conn *conn); /* tells the protocol, once, that too much waits */

/* conn_slow.c */
void conn_set_bound_output(
    struct conn_set *set); /* lets the slowest go until all that waits fits its bound */

/* conn_drain.c */
void conn_drain_joined(struct conn *conn); /* one more stream, perhaps of a process that is leaving */

/* conn_input.c */
void conn_on_io(struct ev_loop *loop, struct ev_io *io, int revents);
void conn_drop_kept(struct conn *conn);
bool conn_can_offer(const struct conn *conn); /* the protocol takes bytes now */
void conn_offer_soon(struct conn *conn);      /* what is kept, from the loop */
