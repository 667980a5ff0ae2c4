#include "gateway/net/output.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    CHUNK_SIZE = 4096 - 48, /* together with its head it fits into one page */
    POOL_CHUNKS_MAX = 128,
    POOL_LINKS_MAX = 4096,
    IOV_COUNT = 64,
};

struct output_piece {
    struct output_piece *next;
    struct bytes *shared; /* NULL: the bytes are in `own` */
    size_t begin, end;
    size_t capacity; /* of `own` */
    bool begun;      /* the kernel has taken a part of it */
    char own[];
};

static const char *piece_data(const struct output_piece *piece)
{
    return (piece->shared ? piece->shared->slice.data : piece->own) + piece->begin;
}

static struct output_piece *take_chunk(struct output_pool *pool, size_t size)
{
    struct output_piece *piece = pool->chunks;
    if (size <= CHUNK_SIZE && piece) {
        pool->chunks = piece->next;
        pool->chunk_count--;
    } else {
        size_t capacity = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        piece = xmalloc(sizeof(*piece) + capacity);
        piece->capacity = capacity;
    }
    piece->next = NULL;
    piece->shared = NULL;
    piece->begin = piece->end = 0;
    piece->begun = false;
    pool->held += sizeof(*piece) + piece->capacity;
    return piece;
}

static struct output_piece *take_link(struct output_pool *pool, struct bytes *shared, struct slice part)
{
    struct output_piece *piece = pool->links;
    if (piece) {
        pool->links = piece->next;
        pool->link_count--;
    } else {
        piece = xmalloc(sizeof(*piece));
    }
    pool->held += sizeof(*piece);
    if (shared->queued++ == 0)
        pool->held += sizeof(*shared) + shared->slice.len;
    size_t begin = (size_t)(part.data - shared->slice.data);
    *piece = (struct output_piece){.shared = bytes_ref(shared), .begin = begin, .end = begin + part.len};
    return piece;
}

static void let_go(struct output_pool *pool, struct bytes *shared)
{
    if (--shared->queued == 0)
        pool->held -= sizeof(*shared) + shared->slice.len;
    bytes_unref(shared);
}

static void give_back(struct output_pool *pool, struct output_piece *piece)
{
    pool->held -= sizeof(*piece) + (piece->shared ? 0 : piece->capacity);
    if (piece->shared) {
        let_go(pool, TAKE(piece->shared));
        if (pool->link_count < POOL_LINKS_MAX) {
            piece->next = pool->links;
            pool->links = piece;
            pool->link_count++;
            return;
        }
    } else if (piece->capacity == CHUNK_SIZE && pool->chunk_count < POOL_CHUNKS_MAX) {
        piece->next = pool->chunks;
        pool->chunks = piece;
        pool->chunk_count++;
        return;
    }
    free(piece);
}

static void free_list(struct output_piece *piece)
{
    while (piece) {
        struct output_piece *next = piece->next;
        free(piece);
        piece = next;
    }
}

void output_pool_done(struct output_pool *pool)
{
    free_list(pool->chunks);
    free_list(pool->links);
    *pool = (struct output_pool){0};
}

static void push(struct output *output, struct output_piece *piece)
{
    if (output->last)
        output->last->next = piece;
    else
        output->first = piece;
    output->last = piece;
}

void output_append(struct output_pool *pool, struct output *output, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    struct output_piece *piece = output->last;
    if (!piece || piece->shared || piece->capacity - piece->end < bytes.len) {
        piece = take_chunk(pool, bytes.len);
        push(output, piece);
    }
    memcpy(piece->own + piece->end, bytes.data, bytes.len);
    piece->end += bytes.len;
    output->bytes += bytes.len;
}

void output_append_shared(struct output_pool *pool, struct output *output, struct bytes *bytes,
                          struct slice part)
{
    if (part.len == 0)
        return;
    push(output, take_link(pool, bytes, part));
    output->bytes += part.len;
}

static void pop(struct output_pool *pool, struct output *output)
{
    struct output_piece *piece = output->first;
    output->first = piece->next;
    if (!output->first)
        output->last = NULL;
    give_back(pool, piece);
}

void output_clear(struct output_pool *pool, struct output *output)
{
    while (output->first)
        pop(pool, output);
    output->bytes = 0;
}

void output_cut(struct output_pool *pool, struct output *output)
{
    struct output_piece *begun = output->first && output->first->begun ? output->first : NULL;
    struct output rest = {.first = begun ? begun->next : output->first, .last = output->last};
    output_clear(pool, &rest);
    *output = (struct output){.first = begun, .last = begun, .bytes = begun ? begun->end - begun->begin : 0};
    if (begun)
        begun->next = NULL;
}

static void advance(struct output_pool *pool, struct output *output, size_t sent)
{
    output->bytes -= sent;
    while (output->first) {
        size_t left = output->first->end - output->first->begin;
        if (left > sent) {
            output->first->begin += sent;
            output->first->begun = output->first->begun || sent > 0;
            return;
        }
        sent -= left;
        pop(pool, output);
    }
}

static ssize_t send_once(const struct output *output, int fd, size_t *ret_tried)
{
    const struct output_piece *piece = output->first;
    *ret_tried = piece->end - piece->begin;
    if (!piece->next)
        return send(fd, piece_data(piece), *ret_tried, MSG_NOSIGNAL | MSG_DONTWAIT);

    struct iovec iov[IOV_COUNT];
    size_t count = 0;
    for (*ret_tried = 0; piece && count < IOV_COUNT; piece = piece->next) {
        size_t len = piece->end - piece->begin;
        iov[count++] = (struct iovec){(void *)piece_data(piece), len};
        *ret_tried += len;
    }
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum output_state output_send(struct output_pool *pool, struct output *output, int fd, size_t *ret_sent)
{
    *ret_sent = 0;
    while (output->bytes > 0) {
        size_t tried = 0;
        ssize_t sent = send_once(output, fd, &tried);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? OUTPUT_BLOCKED
                                                                               : OUTPUT_BROKEN;
        *ret_sent += (size_t)sent;
        advance(pool, output, (size_t)sent);
        if ((size_t)sent < tried) /* the socket is full, and another attempt would only cost a system call */
            return OUTPUT_BLOCKED;
    }
    return OUTPUT_DONE;
}
