#include "gateway/net/conn_private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
    CONGESTED_BYTES =
        64 * 1024, /* with more output than that, the peer must read before it is answered again */
    CONGESTED_UNKNOWN_BYTES = 16 * 1024, /* the same for a peer without a token */
    LINGER_MS = 2000, /* RFC 9112 9.6: the peer reads the answer before a reset can drop it */
};

struct gateway *conn_gateway(const struct conn *conn)
{
    return conn->set->gateway;
}

int64_t conn_now_us(const struct conn *conn)
{
    return conn->set->now_us;
}

/* inet_ntop does the same, by sprintf. */
static void write_ipv4(const uint8_t address[4], char *text)
{
    for (int i = 0; i < 4; i++) {
        unsigned octet = address[i];
        if (octet >= 100)
            *text++ = (char)('0' + octet / 100);
        if (octet >= 10)
            *text++ = (char)('0' + octet / 10 % 10);
        *text++ = (char)('0' + octet % 10);
        *text++ = i < 3 ? '.' : '\0';
    }
}

const char *conn_peer(const struct conn *conn)
{
    static char text[INET6_ADDRSTRLEN];
    if (conn->family == AF_INET) {
        write_ipv4(conn->address, text);
        return text;
    }
    if (conn->family != AF_INET6)
        return "local";
    return inet_ntop(conn->family, conn->address, text, sizeof(text)) ? text : "unknown";
}

const char *conn_protocol_name(const struct conn *conn)
{
    return conn->protocol->name;
}

void conn_keep_record(struct conn *conn, struct conn_record *record)
{
    conn->record = record;
}

struct conn_record *conn_record_of(const struct conn *conn)
{
    return conn->record;
}

uint64_t conn_address(const struct conn *conn)
{
    return address_key(conn->family, conn->address);
}

bool conn_is_open(const struct conn *conn)
{
    return conn->state == CONN_OPEN;
}

bool conn_is_congested(const struct conn *conn)
{
    return conn->output.bytes > (conn->known ? CONGESTED_BYTES : CONGESTED_UNKNOWN_BYTES);
}

void conn_update_events(struct conn *conn)
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
    if (conn->guest && (ms == 0 || ms > CONN_GUEST_MS))
        ms = CONN_GUEST_MS;
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
        conn_count_input(conn);
    }
    if (conn->state != CONN_DEAD)
        arm(conn);
}

/* ---- the end of a connection ---- */

static void end_record(struct conn *conn)
{
    struct conn_record *record = TAKE(conn->record);
    if (record)
        record->on_ended(conn, record);
}

static void set_state(struct conn *conn, enum conn_state state)
{
    static const char *const names[] = {[CONN_OPEN] = "open",
                                        [CONN_CLOSING] = "closing",
                                        [CONN_LINGERING] = "lingering",
                                        [CONN_DEAD] = "dead"};
    log_debug("conn.state", LOG_S("from", names[conn->state]), LOG_S("to", names[state]),
              LOG_S("protocol", conn->protocol->name), LOG_S("peer", conn_peer(conn)));
    conn->state = (uint8_t)state;
    if (state == CONN_LINGERING || state == CONN_DEAD)
        end_record(conn);
}

void conn_kill(struct conn *conn)
{
    if (conn->state == CONN_DEAD)
        return;
    set_state(conn, CONN_DEAD);
    conn_count_input(conn);
    conn_give_room(conn);
    conn->set->dead_count++;
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
    set_state(conn, CONN_LINGERING);
    conn->write_deadline = 0;
    conn->deadline = from_now(conn, LINGER_MS);
    arm(conn);
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
    set_state(conn, CONN_CLOSING);
    conn->deadline = 0;
    conn->throttled = false;
    if (!conn->offering)
        conn_drop_kept(conn);
    mark_dirty(conn); /* the flush goes on to linger */
    conn_update_events(conn);
}

void conn_abort(struct conn *conn)
{
    conn_kill(conn);
}

void conn_reap(struct conn *conn)
{
    struct conn_set *set = conn->set;
    end_record(conn);
    conn->protocol->on_free(conn, conn->protocol_state);
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        set->all = conn->next;
    if (conn->next)
        conn->next->previous = conn->previous;
    set->count--;
    set->dead_count--;
    close(conn->io.fd);
    output_clear(&set->pool, &conn->output);
    conn_drop_kept(conn);
    free(conn);
    if (set->on_freed)
        set->on_freed(set->on_freed_arg);
}

/* ---- output ---- */

void conn_set_known(struct conn *conn)
{
    if (conn->known)
        return;
    conn->known = true;
    conn_note_kind(conn);
    int unsent = (int)conn->set->gateway->config->socket_unsent_bytes;
    const int by_kernel = 0;
    if (conn->family != AF_INET && conn->family != AF_INET6)
        return;
    setsockopt(conn->io.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    /* The kernel sizes its buffers itself from now on (since Linux 5.14), but never opens its window past 64 KiB,
     * as it was agreed without more in view. */
    setsockopt(conn->io.fd, SOL_SOCKET, SO_BUF_LOCK, &by_kernel, sizeof(by_kernel));
}

bool conn_is_known(const struct conn *conn)
{
    return conn->known;
}

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

void conn_cut(struct conn *conn)
{
    output_cut(&conn->set->pool, &conn->output);
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

void conn_check_overflow(struct conn *conn)
{
    bool over = conn->output.bytes > (size_t)conn->set->gateway->config->max_output_bytes;
    bool newly = over && !conn->overflowed;
    conn->overflowed = over;
    if (newly && conn->state == CONN_OPEN)
        conn->protocol->on_overflow(conn, conn->protocol_state);
}

void conn_flush(struct conn *conn)
{
    if (conn->state == CONN_DEAD)
        return;
    bool was_congested = conn_is_congested(conn);
    size_t sent = 0;
    enum output_state result = output_send(&conn->set->pool, &conn->output, conn->io.fd, &sent);
    if (conn->record)
        conn->record->sent += sent;
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
    conn_check_overflow(conn);
    if (was_congested && conn_can_offer(conn)) {
        conn->throttled = false;
        conn_offer_soon(conn);
    }
    conn_update_events(conn);
}

/* ---- beginning ---- */

void conn_set_protocol(struct conn *conn, const struct conn_protocol *protocol, void *state)
{
    conn->protocol = protocol;
    conn->protocol_state = state;
    conn->is_long_lived = false;
    if (protocol->is_stream)
        conn_set_long_lived(conn);
    else
        conn_note_kind(conn);
}

void conn_set_long_lived(struct conn *conn)
{
    conn->is_long_lived = true;
    conn_drain_joined(conn);
    conn_note_kind(conn);
}

/* Until the first request begins. A client that connects ahead of it may take its time, but not while others
 * need the room. */
static int64_t first_wait_ms(const struct conn_set *set)
{
    const struct config *config = set->gateway->config;
    bool is_crowded = set->count > (size_t)config->max_connections / 2;
    return is_crowded && config->head_timeout_ms < config->idle_timeout_ms ? config->head_timeout_ms
                                                                           : config->idle_timeout_ms;
}

struct conn *conn_new(struct conn_set *set, int fd, const struct sockaddr *peer,
                      const struct conn_protocol *protocol, bool is_full)
{
    struct conn *conn = xcalloc(1, sizeof(*conn));
    conn->set = set;
    conn->protocol = protocol;
    ev_io_init(&conn->io, conn_on_io, fd, EV_READ);
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
    if (!conn_find_room(conn, is_full))
        conn_make_guest(conn);
    conn_limit(conn, first_wait_ms(set));
    return conn;
}
