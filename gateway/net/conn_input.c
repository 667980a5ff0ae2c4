#include "gateway/net/conn_private.h"

#include <errno.h>

bool conn_can_offer(const struct conn *conn)
{
    return conn->state == CONN_OPEN && !conn->paused && !conn_is_congested(conn);
}

/* Offers what is kept from the loop. Inside the end of a turn the loop is about to sleep, which it must not
 * do before the offer. */
void conn_offer_soon(struct conn *conn)
{
    ev_feed_event(conn->set->loop, &conn->io, EV_CUSTOM);
    if (conn->set->ending)
        ev_idle_start(conn->set->loop, &conn->set->again);
}

void conn_drop_kept(struct conn *conn)
{
    if (conn->kept) {
        buf_done(conn->kept);
        free(TAKE(conn->kept));
    }
}

static void keep(struct conn *conn, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    if (!conn->kept) {
        conn->kept = xcalloc(1, sizeof(*conn->kept));
        buf_init(conn->kept, conn->set->kept_max);
    }
    if (!buf_append_slice(conn->kept, bytes))
        conn_kill(conn); /* the protocol waits for more bytes than a connection may keep */
}

static void tell_end(struct conn *conn)
{
    if (conn->ended && !conn->end_told && conn_can_offer(conn)) {
        conn->end_told = true;
        conn->protocol->on_end(conn, conn->protocol_state);
    }
}

/* Offers the bytes to the protocol, and after an upgrade to the next one. Returns those that nobody took. */
static struct slice offer(struct conn *conn, struct slice bytes)
{
    const struct conn_protocol *protocol;
    conn->offering = true;
    do {
        protocol = conn->protocol;
        size_t used = protocol->on_bytes(conn, conn->protocol_state, bytes);
        bytes = (struct slice){bytes.data + used, bytes.len - used};
    } while (bytes.len > 0 && conn->protocol != protocol && conn_can_offer(conn));
    conn->offering = false;
    return bytes;
}

static void offer_kept(struct conn *conn)
{
    if (!conn_can_offer(conn))
        return;
    struct slice before = conn->kept ? buf_slice(conn->kept) : SLICE("");
    struct slice left = offer(conn, before);
    if (conn->kept) {
        buf_consume(conn->kept, before.len - left.len);
        if (left.len == 0 || conn->state != CONN_OPEN)
            conn_drop_kept(conn);
    }
    tell_end(conn);
}

static void take_bytes(struct conn *conn, struct slice bytes)
{
    if (conn->state != CONN_OPEN)
        return; /* it is closing, and the protocol takes nothing more */
    if (conn->kept || !conn_can_offer(conn)) {
        keep(conn, bytes);
        offer_kept(conn);
        return;
    }
    struct slice left = offer(conn, bytes);
    if (conn->state == CONN_OPEN)
        keep(conn, left);
}

/* How much may be read now. While nothing can be offered, no more than can be kept, and nothing at all once
 * the process holds half of the input that it may hold: what is not read holds its client back. */
static size_t room(const struct conn *conn)
{
    const struct conn_set *set = conn->set;
    if (conn->state != CONN_OPEN || conn_can_offer(conn))
        return CONN_READ_SIZE;
    if (set->input_held > (size_t)set->gateway->config->input_total_bytes / 2)
        return 0;
    size_t kept = conn->kept ? buf_len(conn->kept) : 0;
    return kept < CONN_READ_SIZE ? CONN_READ_SIZE - kept : 0;
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

void conn_on_io(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop;
    struct conn *conn = io->data;
    if (revents & EV_WRITE)
        conn_flush(conn);
    if (revents & EV_CUSTOM)
        offer_kept(conn);
    if ((revents & EV_READ) && conn->state != CONN_DEAD && !conn->ended)
        read_socket(conn);
    conn_count_input(conn);
    /* The answer to this connection's own bytes is written at once, while its memory is in the cache. What
     * other connections write to it waits for the end of the turn. */
    if (conn->dirty && !conn->blocked)
        conn_flush(conn);
    else
        conn_update_events(conn);
}

void conn_pause(struct conn *conn, bool paused)
{
    if (conn->paused == paused || conn->state != CONN_OPEN)
        return;
    conn->paused = paused;
    if (paused)
        return; /* the socket stays watched: most clients send nothing before they have their answer */
    conn->throttled = false;
    conn_update_events(conn);
    conn_offer_soon(conn);
}
