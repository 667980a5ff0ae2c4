#pragma once
/* A stream puts the events of one company into order of seq, in whatever order they arrive. No I/O.
 *
 *   offered ──▶ seq = last + 1 ─────────▶ recent (kept for recovery, oldest go first)
 *           ├─▶ seq > last + 1 ─▶ held ──────▲ when the gap is filled: by late events, or from the database
 *           └─▶ seq <= last: seen before, dropped
 *
 * Must hold: `recent` has every seq from last - count + 1 to last; `held` ascends and begins past last + 1;
 * known >= last. While `last` is unknown (STREAM_UNKNOWN) everything is held.
 */

#include "common/base/bytes.h"
#include "common/base/uuid.h"

enum { STREAM_UNKNOWN = -1 };

/* Events are held only to save a query, for the database has them too. Past these limits they are dropped
 * and read there. */
enum { STREAM_HELD_MAX = 1024, STREAM_HELD_BYTES = 4 * 1024 * 1024 };

struct publication {
    int64_t seq;
    bool has_project;
    struct uuid project;
    struct bytes *body; /* the event's JSON */
};

struct stream {
    int64_t last;
    int64_t known;              /* the highest seq that is known to exist */
    struct publication *recent; /* seq s is at s & (capacity - 1) */
    size_t capacity, count, recent_bytes;
    struct publication *held;
    size_t held_capacity, held_count, held_bytes;
};

enum stream_outcome {
    STREAM_ADVANCED,  /* `last` has moved, perhaps past held ones too */
    STREAM_HELD,      /* waits for the events in the gap before it */
    STREAM_DUPLICATE, /* was here before, and is dropped */
    STREAM_DROPPED,   /* too many are held already: it has to be read from the database */
};

void stream_init(struct stream *stream);
void stream_done(struct stream *stream);

/* Sets `last`, which was unknown. Held events up to it are dropped, and those that follow it without a gap
 * are taken. */
void stream_begin(struct stream *stream, int64_t last);

/* Takes over the reference to the body, whatever the outcome. */
enum stream_outcome stream_offer(struct stream *stream, struct publication publication);

/* The database has events up to `seq`. */
void stream_heard_of(struct stream *stream, int64_t seq);

/* The first gap: a run of seqs that are known to exist and are not here. False when there is none. */
bool stream_gap(const struct stream *stream, int64_t *ret_from, int64_t *ret_to);

/* The recent event of that seq; NULL when it is not kept. Valid until the stream changes. */
const struct publication *stream_recent(const struct stream *stream, int64_t seq);

/* True when every event in (after, last] is among the recent ones. */
bool stream_covers(const struct stream *stream, int64_t after);

/* Drops the oldest recent events while all take more than `max_bytes`, but none with a seq past
 * `keep_after`. */
void stream_trim(struct stream *stream, size_t max_bytes, int64_t keep_after);
