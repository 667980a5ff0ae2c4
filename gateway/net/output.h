#pragma once
/* The output that waits for one socket, in order: copied bytes in chunks, and shared bytes by reference.
 *
 *   first ─▶ [chunk: heads, small bodies] ─▶ [link ─▶ struct bytes] ─▶ [chunk …] ◀─ last
 *
 * An empty output holds no memory. Its pieces come from a pool that the connections of a process share.
 */

#include "common/base/bytes.h"

struct output_piece;

struct output {
    struct output_piece *first, *last;
    size_t bytes; /* not yet accepted by the kernel */
};

/* Unused pieces, for the next answer. Their number is bounded; what exceeds it goes back to the allocator. */
struct output_pool {
    struct output_piece *chunks, *links;
    size_t chunk_count, link_count;
    size_t held; /* memory that waits in all outputs; bytes that several outputs share count once */
};

void output_pool_done(struct output_pool *pool);

/* The bytes of one call are never spread over two pieces. */
void output_append(struct output_pool *pool, struct output *output, struct slice bytes);
/* `part` lies within `bytes`, to which the output takes a reference. */
void output_append_shared(struct output_pool *pool, struct output *output, struct bytes *bytes,
                          struct slice part);
void output_clear(struct output_pool *pool, struct output *output);
/* Drops everything but the piece of which the kernel has taken a part. */
void output_cut(struct output_pool *pool, struct output *output);

enum output_state { OUTPUT_DONE, OUTPUT_BLOCKED, OUTPUT_BROKEN };

/* Writes as much as the socket takes. *ret_sent is the number of bytes that this call has sent, whatever the
 * outcome. */
enum output_state output_send(struct output_pool *pool, struct output *output, int fd,
                              size_t *ret_sent) MUST_CHECK;
