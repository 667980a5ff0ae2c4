#include "gateway/hub/stream.h"

#include <assert.h>

enum { RECENT_CAPACITY_MIN = 16, HELD_CAPACITY_MIN = 8 };

void stream_init(struct stream *stream)
{
    *stream = (struct stream){.last = STREAM_UNKNOWN, .known = STREAM_UNKNOWN};
}

static size_t weight(const struct publication *publication)
{
    return sizeof(*publication) + sizeof(struct bytes) + publication->body->slice.len;
}

static struct publication *slot(const struct stream *stream, int64_t seq)
{
    return &stream->recent[(uint64_t)seq & (stream->capacity - 1)];
}

static int64_t oldest(const struct stream *stream)
{
    return stream->last - (int64_t)stream->count + 1;
}

void stream_done(struct stream *stream)
{
    stream_trim(stream, 0, INT64_MAX);
    for (size_t i = 0; i < stream->held_count; i++)
        bytes_unref(stream->held[i].body);
    free(stream->recent);
    free(stream->held);
    *stream = (struct stream){0};
}

static void grow_recent(struct stream *stream)
{
    size_t capacity = stream->capacity ? stream->capacity * 2 : RECENT_CAPACITY_MIN;
    struct publication *recent = xcalloc(capacity, sizeof(*recent));
    for (int64_t seq = oldest(stream); seq <= stream->last && stream->count > 0; seq++)
        recent[(uint64_t)seq & (capacity - 1)] = *slot(stream, seq);
    free(stream->recent);
    stream->recent = recent;
    stream->capacity = capacity;
}

static void advance(struct stream *stream, struct publication publication)
{
    assert(publication.seq == stream->last + 1);
    if (stream->count == stream->capacity)
        grow_recent(stream);
    stream->last = publication.seq;
    stream->count++;
    stream->recent_bytes += weight(&publication);
    *slot(stream, publication.seq) = publication;
}

/* Moves what no longer waits out of `held`: to `recent` when it continues the stream, away when it was
 * seen. */
static void release_held(struct stream *stream)
{
    size_t released = 0;
    for (; released < stream->held_count && stream->held[released].seq <= stream->last + 1; released++) {
        struct publication publication = stream->held[released];
        stream->held_bytes -= weight(&publication);
        if (publication.seq == stream->last + 1)
            advance(stream, publication);
        else
            bytes_unref(publication.body);
    }
    if (released == 0)
        return;
    stream->held_count -= released;
    memmove(stream->held, stream->held + released, stream->held_count * sizeof(*stream->held));
}

void stream_begin(struct stream *stream, int64_t last)
{
    assert(stream->last == STREAM_UNKNOWN && last >= 0);
    stream->last = last;
    stream_heard_of(stream, last);
    release_held(stream);
}

static enum stream_outcome hold(struct stream *stream, struct publication publication)
{
    size_t at = stream->held_count;
    while (at > 0 && stream->held[at - 1].seq > publication.seq)
        at--;
    if (at > 0 && stream->held[at - 1].seq == publication.seq) {
        bytes_unref(publication.body);
        return STREAM_DUPLICATE;
    }
    if (stream->held_count == STREAM_HELD_MAX ||
        stream->held_bytes + weight(&publication) > STREAM_HELD_BYTES) {
        bytes_unref(publication.body);
        return STREAM_DROPPED;
    }
    if (stream->held_count == stream->held_capacity) {
        stream->held_capacity = stream->held_capacity ? stream->held_capacity * 2 : HELD_CAPACITY_MIN;
        stream->held = xrealloc(stream->held, stream->held_capacity * sizeof(*stream->held));
    }
    memmove(stream->held + at + 1, stream->held + at, (stream->held_count - at) * sizeof(*stream->held));
    stream->held[at] = publication;
    stream->held_count++;
    stream->held_bytes += weight(&publication);
    return STREAM_HELD;
}

enum stream_outcome stream_offer(struct stream *stream, struct publication publication)
{
    if (publication.seq <= stream->last) {
        bytes_unref(publication.body);
        return STREAM_DUPLICATE;
    }
    stream_heard_of(stream, publication.seq);
    if (stream->last == STREAM_UNKNOWN || publication.seq != stream->last + 1)
        return hold(stream, publication);
    advance(stream, publication);
    release_held(stream);
    return STREAM_ADVANCED;
}

void stream_heard_of(struct stream *stream, int64_t seq)
{
    if (seq > stream->known)
        stream->known = seq;
}

bool stream_gap(const struct stream *stream, int64_t *ret_from, int64_t *ret_to)
{
    if (stream->last == STREAM_UNKNOWN || stream->known == stream->last)
        return false;
    *ret_from = stream->last + 1;
    *ret_to = stream->held_count > 0 ? stream->held[0].seq - 1 : stream->known;
    return true;
}

const struct publication *stream_recent(const struct stream *stream, int64_t seq)
{
    if (stream->count == 0 || seq < oldest(stream) || seq > stream->last)
        return NULL;
    return slot(stream, seq);
}

bool stream_covers(const struct stream *stream, int64_t after)
{
    return after >= stream->last || (after >= 0 && after + 1 >= oldest(stream));
}

void stream_trim(struct stream *stream, size_t max_bytes, int64_t keep_after)
{
    while (stream->count > 0 && stream->recent_bytes > max_bytes && oldest(stream) <= keep_after) {
        struct publication *publication = slot(stream, oldest(stream));
        stream->recent_bytes -= weight(publication);
        bytes_unref(publication->body);
        *publication = (struct publication){0};
        stream->count--;
    }
}
