#include "tests/bench/pace.h"

#include <err.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { SECOND_US = 1000000 };

static void on_timer(struct ev_loop *loop, ev_io *watcher, int revents)
{
    (void)loop, (void)revents;
    struct pace *pace = watcher->data;
    uint64_t expirations;
    if (read(pace->fd, &expirations, sizeof(expirations)) > 0)
        pace->on_due(pace->ctx);
}

void pace_start(struct pace *pace, struct ev_loop *loop, int64_t rate, int64_t begin_us,
                void (*on_due)(void *ctx), void *ctx)
{
    *pace = (struct pace){.loop = loop, .begin_us = begin_us, .rate = rate, .on_due = on_due, .ctx = ctx};
    pace->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (pace->fd < 0)
        err(1, "timerfd_create");
    ev_io_init(&pace->watcher, on_timer, pace->fd, EV_READ);
    pace->watcher.data = pace;
    ev_io_start(loop, &pace->watcher);
    pace_wake(pace, 0);
}

void pace_stop(struct pace *pace)
{
    ev_io_stop(pace->loop, &pace->watcher);
    close(pace->fd);
}

int64_t pace_due(const struct pace *pace, uint64_t n)
{
    return pace->begin_us + (int64_t)n * SECOND_US / pace->rate;
}

void pace_wake(struct pace *pace, uint64_t n)
{
    int64_t due = pace_due(pace, n);
    struct itimerspec at = {.it_value = {due / SECOND_US, due % SECOND_US * 1000}};
    if (timerfd_settime(pace->fd, TFD_TIMER_ABSTIME, &at, NULL))
        err(1, "timerfd_settime");
}
