#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workers/fleet/pool/private.h"

static enum pool_worker_state state_of(const struct pool_child *child)
{
    switch (child->process.state) {
    case CHILD_RUNNING:
        return child->process.heard.ready ? WORKER_READY
               : child->process.ready_us  ? WORKER_UNREADY
                                          : WORKER_STARTING;
    case CHILD_LEAVING:
        return WORKER_LEAVING;
    default:
        return WORKER_WAITING;
    }
}

static void add_workers(const struct pool *pool, struct pool_report *report)
{
    for (int i = 0; i < POOL_CHILDREN_MAX; i++) {
        const struct pool_child *child = &pool->workers[i];
        if (child->process.state == CHILD_NONE)
            continue;
        report->workers[report->worker_count++] = (struct pool_worker){
            .pid = child->process.state == CHILD_WAITING ? 0 : child->process.pid,
            .state = (int32_t)state_of(child),
            .since_ms = child->started_wall_ms,
        };
    }
}

/* A report that does not fit into the socket follows in a later turn: the manager's pulse wakes the loop
 * every second. A manager that is leaving may not read it any more; the next one gets it. */
void pool_talk_report(struct pool *pool)
{
    static struct pool_report report;
    if (pool->manager_fd < 0 || pool->manager.process.state == CHILD_LEAVING)
        return;
    report = (struct pool_report){
        .size = pool->size, .wish = pool->wish, .more = pool->more, .is_leaving = pool->is_leaving};
    add_workers(pool, &report);
    size_t size =
        offsetof(struct pool_report, workers) + (size_t)report.worker_count * sizeof(*report.workers);
    if (send(pool->manager_fd, &report, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        return;
    pool->is_changed = false;
    pool->wish = POOL_NO_WISH;
    pool->more = 0;
}

/* The manager repeats its order every second. Only a new one leads to a turn and a report. */
static void take_order(struct pool *pool, const struct pool_order *order)
{
    bool is_news = !pool->share_is_known || pool->share != order->share ||
                   pool->size.version != order->size.version ||
                   memcmp(pool->size.set_by, order->size.set_by, sizeof(pool->size.set_by)) != 0;
    pool->size = order->size;
    pool->share = order->share;
    pool->share_is_known = true;
    pool->is_changed = pool->is_changed || is_news;
}

static void on_order(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    struct pool *pool = CONTAINER_OF(io, struct pool, order);
    struct pool_order order;
    if (pool->is_child)
        return;
    ssize_t n = recv(pool->manager_fd, &order, sizeof(order), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != (ssize_t)sizeof(order) || order.share < 0 || order.share > POOL_WORKERS_MAX) {
        ev_io_stop(loop, io); /* the manager is ending: SIGCHLD says how */
        return;
    }
    take_order(pool, &order);
}

bool pool_talk_open(struct pool *pool, int *ret_fd)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
        return false;
    pool->manager_fd = fds[0];
    *ret_fd = fds[1];
    ev_io_init(&pool->order, on_order, pool->manager_fd, EV_READ);
    ev_io_start(pool->loop, &pool->order);
    return true;
}

void pool_talk_close(struct pool *pool)
{
    ev_io_stop(pool->loop, &pool->order);
    if (pool->manager_fd >= 0)
        close(pool->manager_fd);
    pool->manager_fd = -1;
}
