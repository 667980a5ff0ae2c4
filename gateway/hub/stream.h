#pragma once
/* The events of one company in order of seq, whatever the order in which they arrive. No I/O.
 *
 *   offered ──▶ seq = last + 1 ─────────▶ recent (kept for recovery, oldest go first)
 *           ├─▶ seq > last + 1 ─▶ held ──────▲ when what lies between has come: by itself, or read from the database
 *           └─▶ seq <= last: seen before, dropped
 *
 * Must hold: `recent` has every seq from last - count + 1 to last; `held` is ascending and begins past last + 1;
 * known >= last. While `last` is unknown (STREAM_UNKNOWN) everything is held.
 */

#include "common/base/bytes.h"
#include "common/base/uuid.h"

enum { STREAM_UNKNOWN = -1 };

/* Held events are only a short cut, for the database has them too: past these they are dropped and read there. */
enum { STREAM_HELD_MAX = 1024, STREAM_HELD_BYTES = 4 * 1024 * 1024 };

struct publication {
    int64_t seq;
    bool has_project;
    struct uuid project;
    struct bytes *body; /* the event's JSON */
};

struct stream {
    int64_t last;
    int64_t known;              /* the highest seq heard of */
    struct publication *recent; /* seq s is at s & (capacity - 1) */
    size_t capacity, count, recent_bytes;
    struct publication *held;
    size_t held_capacity, held_count, held_bytes;
};

enum stream_outcome {
    STREAM_ADVANCED,  /* `last` has moved, perhaps past held ones too */
    STREAM_HELD,      /* waits for what lies between */
    STREAM_DUPLICATE, /* seen before */
    STREAM_DROPPED,   /* too many are held: it will have to be read */
};

void stream_init(struct stream *stream);
void stream_done(struct stream *stream);

/* Says where the stream stands: what is held and not newer is dropped, what follows without a gap is taken. */
void stream_begin(struct stream *stream, int64_t last);

/* Takes over the reference to the body, whatever the outcome. */
enum stream_outcome stream_offer(struct stream *stream, struct publication publication);

/* The database has events up to `seq`. */
void stream_heard_of(struct stream *stream, int64_t seq);

/* The first run of seqs that are known to exist and are not here; false when there is none. */
bool stream_gap(const struct stream *stream, int64_t *ret_from, int64_t *ret_to);

/* NULL when that seq is not among the recent ones. Valid until the stream changes. */
const struct publication *stream_recent(const struct stream *stream, int64_t seq);

/* Everything in (after, last] is among the recent ones. */
bool stream_covers(const struct stream *stream, int64_t after);

/* Drops the oldest recent events while they take more than `max_bytes`, but none past `keep_after`. */
void stream_trim(struct stream *stream, size_t max_bytes, int64_t keep_after);
