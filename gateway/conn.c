#include "gateway/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "gateway/gateway.h"
#include "gateway/output.h"

enum {
    READ_SIZE = 64 * 1024,      /* the read buffer, and what is kept at most while a connection is paused */
    CONGESTED_BYTES = 64 * 1024, /* of output: then the peer must read before it is answered again */
    LINGER_MS = 2000,           /* RFC 9112 9.6: let the peer read the answer before a reset can drop it */
};

enum conn_state { CONN_OPEN, CONN_CLOSING, CONN_LINGERING, CONN_DEAD };

struct conn {
    struct ev_io io;
    struct ev_timer timer; /* armed for the earliest deadline or before it, so that moving one costs nothing */
    int64_t wakes_at;      /* of the timer; 0: not armed. Milliseconds of the monotonic clock, as those below */
    int64_t deadline;      /* conn_limit; 0: none */
    int64_t write_deadline;
    struct conn_set *set;
    const struct conn_protocol *protocol;
    void *protocol_state;
    struct output output;
    struct buf *kept; /* arrived and not consumed; NULL: nothing */
    struct conn *previous, *next; /* in set->all */
    struct conn *next_dirty;
    struct conn *next_dead;
    uint8_t address[16];
    uint8_t family;
    uint8_t state; /* enum conn_state */
    bool paused : 1;
    bool ended : 1;     /* the peer has sent its last byte */
    bool end_told : 1;
    bool throttled : 1; /* kept is full: the socket is not read */
    bool blocked : 1;   /* the socket takes no more output */
    bool dirty : 1;     /* in set->dirty */
    bool overflowed : 1;
    bool offering : 1;  /* inside on_bytes */
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
    void (*on_freed)(void *arg);
    void *on_freed_arg;
    char read_buffer[READ_SIZE];
};

static void conn_kill(struct conn *conn);

struct gateway *conn_gateway(const struct conn *conn)
{
    return conn->set->gateway;
}

const char *conn_peer(const struct conn *conn)
{
    static char text[INET6_ADDRSTRLEN];
    if (conn->family != AF_INET && conn->family != AF_INET6)
        return "local";
    return inet_ntop(conn->family, conn->address, text, sizeof(text)) ? text : "unknown";
}

bool conn_is_open(const struct conn *conn)
{
    return conn->state == CONN_OPEN;
}

bool conn_is_congested(const struct conn *conn)
{
    return conn->output.bytes > CONGESTED_BYTES;
}

static bool can_offer(const struct conn *conn)
{
    return conn->state == CONN_OPEN && !conn->paused && !conn_is_congested(conn);
}

/* Watch the socket for what is wanted of it now. */
static void update_events(struct conn *conn)
{
    bool reads = conn->state != CONN_DEAD && !conn->ended && !conn->throttled;
    bool writes = conn->state != CONN_DEAD && conn->blocked;
    int events = (reads ? EV_READ : 0) | (writes ? EV_WRITE : 0);
    bool active = ev_is_active(&conn->io);
    if (active && events == (conn->io.events & (EV_READ | EV_WRITE)))
        return;
    if (active) {
        int pending = ev_clear_pending(conn->set->loop, &conn->io);
        ev_io_stop(conn->set->loop, &conn->io);
        if (pending & EV_CUSTOM) /* an offer that is due */
            ev_feed_event(conn->set->loop, &conn->io, EV_CUSTOM);
    }
    if (events) {
        ev_io_modify(&conn->io, events);
        ev_io_start(conn->set->loop, &conn->io);
    }
}

/* Offers what is kept from the loop. Handlers that run after everybody's end of turn may give others something to
 * write, so the loop must not sleep on it. */
static void offer_soon(struct conn *conn)
{
    ev_feed_event(conn->set->loop, &conn->io, EV_CUSTOM);
    if (conn->set->ending)
        ev_idle_start(conn->set->loop, &conn->set->again);
}

static void on_again(struct ev_loop *loop, struct ev_idle *idle, int revents)
{
    (void)revents;
    ev_idle_stop(loop, idle);
}

/* ---- time ---- */

static int64_t earliest(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

static void arm(struct conn *conn)
{
    int64_t due = earliest(conn->deadline, conn->write_deadline);
    if (due == 0 || (conn->wakes_at != 0 && conn->wakes_at <= due))
        return;
    struct ev_loop *loop = conn->set->loop;
    int64_t after = due - conn->set->now;
    ev_timer_stop(loop, &conn->timer);
    ev_timer_set(&conn->timer, after > 0 ? (ev_tstamp)after / 1000 : 0, 0);
    ev_timer_start(loop, &conn->timer);
    conn->wakes_at = due;
}

static int64_t from_now(const struct conn *conn, int64_t ms)
{
    return conn->set->now + ms;
}

void conn_limit(struct conn *conn, int64_t ms)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->deadline = ms > 0 ? from_now(conn, ms) : 0;
    arm(conn);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    struct conn *conn = timer->data;
    int64_t now = conn->set->now;
    conn->wakes_at = 0;
    if (conn->write_deadline != 0 && conn->write_deadline <= now) {
        conn_kill(conn);
        return;
    }
    if (conn->deadline != 0 && conn->deadline <= now) {
        conn->deadline = 0;
        if (conn->state == CONN_OPEN)
            conn->protocol->on_timeout(conn, conn->protocol_state);
        else if (conn->state == CONN_LINGERING)
            conn_kill(conn);
    }
    if (conn->state != CONN_DEAD)
        arm(conn);
}

/* ---- the end of a connection ---- */

static void conn_kill(struct conn *conn)
{
    if (conn->state == CONN_DEAD)
        return;
    conn->state = CONN_DEAD;
    ev_io_stop(conn->set->loop, &conn->io);
    ev_clear_pending(conn->set->loop, &conn->io);
    ev_timer_stop(conn->set->loop, &conn->timer);
    conn->next_dead = conn->set->dead;
    conn->set->dead = conn;
}

static void linger(struct conn *conn)
{
    if (conn->ended || shutdown(conn->io.fd, SHUT_WR) != 0) {
        conn_kill(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    conn->write_deadline = 0;
    conn->deadline = from_now(conn, LINGER_MS);
    arm(conn);
}

static void drop_kept(struct conn *conn)
{
    if (conn->kept) {
        buf_done(conn->kept);
        free(TAKE(conn->kept));
    }
}

static void mark_dirty(struct conn *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    conn->next_dirty = conn->set->dirty;
    conn->set->dirty = conn;
}

void conn_close(struct conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->state = CONN_CLOSING;
    conn->deadline = 0;
    conn->throttled = false;
    if (!conn->offering)
        drop_kept(conn);
    mark_dirty(conn); /* the flush goes on to linger */
    update_events(conn);
}

void conn_abort(struct conn *conn)
{
    conn_kill(conn);
}

static void reap(struct conn *conn)
{
    struct conn_set *set = conn->set;
    conn->protocol->on_free(conn, conn->protocol_state);
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        set->all = conn->next;
    if (conn->next)
        conn->next->previous = conn->previous;
    set->count--;
    close(conn->io.fd);
    output_clear(&set->pool, &conn->output);
    drop_kept(conn);
    free(conn);
    if (set->on_freed)
        set->on_freed(set->on_freed_arg);
}

/* ---- output ---- */

size_t conn_output(const struct conn *conn)
{
    return conn->output.bytes;
}

void conn_write(struct conn *conn, struct slice bytes)
{
    if (conn->state != CONN_OPEN)
        return;
    output_append(&conn->set->pool, &conn->output, bytes);
    mark_dirty(conn);
}

void conn_write_part(struct conn *conn, struct bytes *bytes, struct slice part)
{
    if (conn->state != CONN_OPEN)
        return;
    output_append_shared(&conn->set->pool, &conn->output, bytes, part);
    mark_dirty(conn);
}

void conn_write_shared(struct conn *conn, struct bytes *bytes)
{
    conn_write_part(conn, bytes, bytes->slice);
}

static void note_progress(struct conn *conn, size_t sent)
{
    int64_t limit = conn->set->gateway->config->write_timeout_ms;
    if (!conn->blocked)
        conn->write_deadline = 0;
    else if (sent > 0 || conn->write_deadline == 0)
        conn->write_deadline = from_now(conn, limit);
    arm(conn);
}

static void check_overflow(struct conn *conn)
{
    bool over = conn->output.bytes > (size_t)conn->set->gateway->config->max_output_bytes;
    bool newly = over && !conn->overflowed;
    conn->overflowed = over;
    if (newly && conn->state == CONN_OPEN)
        conn->protocol->on_overflow(conn, conn->protocol_state);
}

static void flush(struct conn *conn)
{
    if (conn->state == CONN_DEAD)
        return;
    bool was_congested = conn_is_congested(conn);
    size_t sent = 0;
    enum output_state result = output_send(&conn->set->pool, &conn->output, conn->io.fd, &sent);
    if (result == OUTPUT_BROKEN) {
        conn_kill(conn);
        return;
    }
    bool was_blocked = conn->blocked;
    conn->blocked = result == OUTPUT_BLOCKED;
    if (conn->blocked || was_blocked)
        note_progress(conn, sent);
    if (conn->state == CONN_CLOSING && !conn->blocked)
        linger(conn);
    check_overflow(conn);
    if (was_congested && can_offer(conn)) {
        conn->throttled = false;
        offer_soon(conn);
    }
    update_events(conn);
}

/* ---- input ---- */

static void keep(struct conn *conn, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    if (!conn->kept) {
        conn->kept = xcalloc(1, sizeof(*conn->kept));
        buf_init(conn->kept, conn->set->kept_max);
    }
    if (!buf_append_slice(conn->kept, bytes))
        conn_kill(conn); /* a protocol that waits for more than it may */
}

static void tell_end(struct conn *conn)
{
    if (conn->ended && !conn->end_told && can_offer(conn)) {
        conn->end_told = true;
        conn->protocol->on_end(conn, conn->protocol_state);
    }
}

/* To the protocol, and after an upgrade to the next one. Returns what is left. */
static struct slice offer(struct conn *conn, struct slice bytes)
{
    const struct conn_protocol *protocol;
    conn->offering = true;
    do {
        protocol = conn->protocol;
        size_t used = protocol->on_bytes(conn, conn->protocol_state, bytes);
        bytes = (struct slice){bytes.data + used, bytes.len - used};
    } while (bytes.len > 0 && conn->protocol != protocol && can_offer(conn));
    conn->offering = false;
    return bytes;
}

static void offer_kept(struct conn *conn)
{
    if (!can_offer(conn))
        return;
    struct slice before = conn->kept ? buf_slice(conn->kept) : SLICE("");
    struct slice left = offer(conn, before);
    if (conn->kept) {
        buf_consume(conn->kept, before.len - left.len);
        if (left.len == 0 || conn->state != CONN_OPEN)
            drop_kept(conn);
    }
    tell_end(conn);
}

static void take_bytes(struct conn *conn, struct slice bytes)
{
    if (conn->state != CONN_OPEN)
        return; /* closing: nobody listens any more */
    if (conn->kept || !can_offer(conn)) {
        keep(conn, bytes);
        offer_kept(conn);
        return;
    }
    struct slice left = offer(conn, bytes);
    if (conn->state == CONN_OPEN)
        keep(conn, left);
}

/* How much may be read now: while nothing can be offered, what fits behind what is kept. */
static size_t room(const struct conn *conn)
{
    if (conn->state != CONN_OPEN || can_offer(conn))
        return READ_SIZE;
    size_t kept = conn->kept ? buf_len(conn->kept) : 0;
    return kept < READ_SIZE ? READ_SIZE - kept : 0;
}

static void read_socket(struct conn *conn)
{
    size_t size = room(conn);
    if (size == 0) {
        conn->throttled = true;
        return;
    }
    ssize_t n = recv(conn->io.fd, conn->set->read_buffer, size, MSG_DONTWAIT);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            conn_kill(conn);
        return;
    }
    if (n > 0) {
        take_bytes(conn, (struct slice){conn->set->read_buffer, (size_t)n});
        return;
    }
    conn->ended = true;
    if (conn->state == CONN_LINGERING)
        conn_kill(conn);
    else
        tell_end(conn);
}

static void on_io(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop;
    struct conn *conn = io->data;
    if (revents & EV_WRITE)
        flush(conn);
    if (revents & EV_CUSTOM)
        offer_kept(conn);
    if ((revents & EV_READ) && conn->state != CONN_DEAD && !conn->ended)
        read_socket(conn);
    /* What this connection's own bytes have caused goes out while it is warm; what others cause waits for the end of
     * the turn. */
    if (conn->dirty && !conn->blocked)
        flush(conn);
    else
        update_events(conn);
}

void conn_pause(struct conn *conn, bool paused)
{
    if (conn->paused == paused || conn->state != CONN_OPEN)
        return;
    conn->paused = paused;
    if (paused)
        return; /* the socket stays watched until something arrives: most peers wait for their answer */
    conn->throttled = false;
    update_events(conn);
    offer_soon(conn);
}

void conn_set_protocol(struct conn *conn, const struct conn_protocol *protocol, void *state)
{
    conn->protocol = protocol;
    conn->protocol_state = state;
}

struct conn *conn_new(struct conn_set *set, int fd, const struct sockaddr *peer, const struct conn_protocol *protocol)
{
    struct conn *conn = xcalloc(1, sizeof(*conn));
    conn->set = set;
    conn->protocol = protocol;
    ev_io_init(&conn->io, on_io, fd, EV_READ);
    ev_timer_init(&conn->timer, on_timer, 0, 0);
    conn->io.data = conn;
    conn->timer.data = conn;
    if (peer && peer->sa_family == AF_INET)
        memcpy(conn->address, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    else if (peer && peer->sa_family == AF_INET6)
        memcpy(conn->address, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    conn->family = peer ? (uint8_t)peer->sa_family : 0;
    conn->next = set->all;
    if (set->all)
        set->all->previous = conn;
    set->all = conn;
    set->count++;
    ev_io_start(set->loop, &conn->io);
    conn_limit(conn, set->gateway->config->idle_timeout_ms);
    return conn;
}

/* ---- the set ---- */

static void flush_dirty(struct conn_set *set)
{
    while (set->dirty) {
        struct conn *conn = set->dirty;
        set->dirty = conn->next_dirty;
        conn->dirty = false;
        if (!conn->blocked)
            flush(conn);
    }
}

/* on_free may write to other connections and end them: the dirty list is emptied before each is freed. */
static void reap_dead(struct conn_set *set)
{
    while (set->dead) {
        flush_dirty(set);
        struct conn *conn = set->dead;
        set->dead = conn->next_dead;
        reap(conn);
    }
    flush_dirty(set);
}

static void on_begin_of_turn(struct ev_loop *loop, struct ev_check *check, int revents)
{
    (void)loop;
    (void)revents;
    struct conn_set *set = check->data;
    set->now = clock_monotonic_us() / 1000;
}

static void on_end_of_turn(struct ev_loop *loop, struct ev_prepare *prepare, int revents)
{
    (void)loop;
    (void)revents;
    struct conn_set *set = prepare->data;
    set->ending = true;
    do {
        flush_dirty(set);
        reap_dead(set);
    } while (set->dirty || set->dead);
    set->ending = false;
}

enum err conn_set_new(struct gateway *gateway, struct conn_set **ret_set)
{
    struct conn_set *set = xcalloc(1, sizeof(*set));
    const struct config *config = gateway->config;
    int64_t largest =
        config->max_head_bytes > config->ws_max_message ? config->max_head_bytes : config->ws_max_message;
    set->gateway = gateway;
    set->loop = gateway->loop;
    set->kept_max = (size_t)largest + 2 * READ_SIZE;
    set->now = clock_monotonic_us() / 1000;
    ev_check_init(&set->begin_of_turn, on_begin_of_turn);
    ev_set_priority(&set->begin_of_turn, EV_MAXPRI);
    set->begin_of_turn.data = set;
    ev_check_start(set->loop, &set->begin_of_turn);
    ev_unref(set->loop);
    ev_prepare_init(&set->end_of_turn, on_end_of_turn);
    ev_set_priority(&set->end_of_turn, EV_MINPRI); /* after everybody else's end of turn */
    set->end_of_turn.data = set;
    ev_prepare_start(set->loop, &set->end_of_turn);
    ev_unref(set->loop);
    ev_idle_init(&set->again, on_again);
    *ret_set = set;
    return ERR_OK;
}

void conn_set_free(struct conn_set *set)
{
    if (!set)
        return;
    set->on_freed = NULL;
    conn_set_abort(set);
    reap_dead(set);
    ev_idle_stop(set->loop, &set->again);
    ev_ref(set->loop);
    ev_check_stop(set->loop, &set->begin_of_turn);
    ev_ref(set->loop);
    ev_prepare_stop(set->loop, &set->end_of_turn);
    output_pool_done(&set->pool);
    free(set);
}

size_t conn_set_count(const struct conn_set *set)
{
    return set->count;
}

void conn_set_on_freed(struct conn_set *set, void (*on_freed)(void *arg), void *arg)
{
    set->on_freed = on_freed;
    set->on_freed_arg = arg;
}

void conn_set_drain(struct conn_set *set)
{
    for (struct conn *conn = set->all; conn; conn = conn->next) {
        if (conn->state == CONN_OPEN && !conn->ended)
            read_socket(conn); /* a request that has arrived before we leave is answered */
        if (conn->state == CONN_OPEN)
            conn->protocol->on_drain(conn, conn->protocol_state);
    }
}

void conn_set_abort(struct conn_set *set)
{
    for (struct conn *conn = set->all; conn; conn = conn->next)
        conn_kill(conn);
}
