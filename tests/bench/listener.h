#pragma once
/* A WebSocket client that costs next to nothing, so that ten thousand of them do not bound what a server is measured by: frames
 * are scanned as they stream by, never parsed as JSON and never kept.
 *
 *   CONNECTING ──▶ UPGRADING ──▶ JOINING ──▶ LISTENING ──▶ GONE (closed with a code, or broken)
 *                      └── the path has named the channel ──▲
 *
 * Every event carries a mark, "~", 10 digits of its company's sequence, 16 digits of the monotonic µs at which it was due: from these
 * a listener knows its age and whether one is missing or came twice.
 */

#include <ev.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/buf.h"

enum { MARK_SEQ_LEN = 10, MARK_TIME_LEN = 16, MARK_LEN = 1 + MARK_SEQ_LEN + MARK_TIME_LEN };

void mark_write(char mark[MARK_LEN], uint64_t seq, int64_t due_us);

enum listener_state {
    LISTENER_CONNECTING,
    LISTENER_UPGRADING,
    LISTENER_JOINING,
    LISTENER_LISTENING,
    LISTENER_GONE
};

struct listener;

struct listener_callbacks {
    /* The request that asks for the upgrade; then, where that does not name the channel, the message that joins it (else
     * SLICE_NONE). Valid until the next call. */
    struct slice (*request)(void *ctx, struct listener *listener);
    struct slice (*join)(void *ctx, struct listener *listener);
    void (*on_listening)(void *ctx, struct listener *listener);
    void (*on_event)(void *ctx, struct listener *listener, uint64_t seq, int64_t due_us);
    void (*on_gone)(void *ctx, struct listener *listener, int code); /* of the close frame; 0: none came */
};

struct listener {
    ev_io io;
    struct ev_loop *loop;
    const struct listener_callbacks *callbacks;
    void *ctx;
    struct buf in; /* until it listens */
    int64_t started_us;
    uint64_t seen;             /* the last sequence */
    uint64_t left;             /* of the frame's payload */
    uint32_t channel;          /* the caller's: which one it listens to */
    uint8_t state;             /* enum listener_state */
    bool in_payload, is_short; /* short: control frames, and what is shorter than a mark */
    uint8_t head_len, kept_len;
    uint8_t head[10];
    char kept[MARK_LEN]; /* of a mark that is not whole yet, or of a short frame */
};

/* Bytes and calls of recv of all listeners of this process. */
struct listener_totals {
    uint64_t bytes, reads;
};
extern struct listener_totals listener_totals;

/* Begins to connect, from an address of the loopback network that `source` picks. */
void listener_start(struct listener *listener, const struct sockaddr_storage *address, socklen_t address_len,
                    unsigned source);
void listener_done(struct listener *listener);
void listener_stall(struct listener *listener, bool stalled); /* reads nothing any more */
