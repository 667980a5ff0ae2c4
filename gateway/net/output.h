#pragma once
/* What waits to be written to one socket: own bytes, copied into chunks, and shared bytes, by reference, in order.
 *
 *   first ─▶ [chunk: heads, small bodies] ─▶ [link ─▶ struct bytes] ─▶ [chunk …] ◀─ last
 *
 * An empty output holds no memory; pieces come from a pool that the connections of a process share.
 */

#include "common/base/bytes.h"

struct output_piece;

struct output {
    struct output_piece *first, *last;
    size_t bytes; /* not yet accepted by the kernel */
};

/* Pieces at rest, for the next answer; bounded, the rest goes back to the allocator. */
struct output_pool {
    struct output_piece *chunks, *links;
    size_t chunk_count, link_count;
    size_t held; /* memory of all that waits in outputs; bytes that many of them share count once */
};

void output_pool_done(struct output_pool *pool);

/* What is appended in one call stays together: a piece begins where some call's bytes begin. */
void output_append(struct output_pool *pool, struct output *output, struct slice bytes);
/* `part` lies within `bytes`, to which a reference is taken. */
void output_append_shared(struct output_pool *pool, struct output *output, struct bytes *bytes,
                          struct slice part);
void output_clear(struct output_pool *pool, struct output *output);
/* Drops everything but a piece that the kernel has begun to take. */
void output_cut(struct output_pool *pool, struct output *output);

enum output_state { OUTPUT_DONE, OUTPUT_BLOCKED, OUTPUT_BROKEN };

/* Writes as much as the socket takes. *ret_sent is what went out in this call, whatever the outcome. */
enum output_state output_send(struct output_pool *pool, struct output *output, int fd,
                              size_t *ret_sent) MUST_CHECK;
