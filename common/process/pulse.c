#include "common/process/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/rhythm.h"

static const double LOG_WAIT_S = 0.02;

enum { BEAT_READY = 'r', BEAT_NOT_READY = '-' };

struct pulse {
    struct ev_loop *loop;
    int fd;
    bool ready;
    ev_timer timer;
    ev_prepare turn;
    ev_timer flush; /* of the log, while lines wait */
};

static void beat(const struct pulse *pulse)
{
    const char octet = pulse->ready ? BEAT_READY : BEAT_NOT_READY;
    if (pulse->fd >= 0)
        (void)!write(pulse->fd, &octet, 1); /* a full pipe or a dead parent does not concern the child */
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    log_report();
    beat(timer->data);
    ev_timer_set(timer, rhythm_after(loop, PULSE_MS / 1000.0), 0);
    ev_timer_start(loop, timer);
}

/* Many turns may pass in that time, and a write for each would cost more than the lines. */
static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)events;
    struct pulse *pulse = CONTAINER_OF(prepare, struct pulse, turn);
    if (!log_waits() || ev_is_active(&pulse->flush))
        return;
    ev_timer_set(&pulse->flush, LOG_WAIT_S, 0);
    ev_timer_start(loop, &pulse->flush);
}

static void on_flush(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    log_flush();
}

struct pulse *pulse_new(struct ev_loop *loop, int fd)
{
    struct pulse *pulse = xcalloc(1, sizeof(*pulse));
    pulse->loop = loop;
    pulse->fd = fd;
    ev_timer_init(&pulse->timer, on_timer, 0, 0);
    pulse->timer.data = pulse;
    ev_timer_start(loop, &pulse->timer);
    ev_prepare_init(&pulse->turn, on_turn);
    ev_prepare_start(loop, &pulse->turn);
    ev_timer_init(&pulse->flush, on_flush, LOG_WAIT_S, 0);
    return pulse;
}

void pulse_free(struct pulse *pulse)
{
    if (!pulse)
        return;
    ev_timer_stop(pulse->loop, &pulse->timer);
    ev_prepare_stop(pulse->loop, &pulse->turn);
    ev_timer_stop(pulse->loop, &pulse->flush);
    log_flush();
    if (pulse->fd >= 0)
        close(pulse->fd);
    free(pulse);
}

void pulse_set_ready(struct pulse *pulse, bool ready)
{
    if (pulse->ready == ready)
        return;
    pulse->ready = ready;
    beat(pulse);
}

enum err pulse_pipe(int *ret_read_fd, int *ret_write_fd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
        return ERR_INTERNAL;
    *ret_read_fd = fds[0];
    *ret_write_fd = fds[1];
    return ERR_OK;
}

bool pulse_read(int fd, struct pulse_heard *heard)
{
    char beats[64];
    for (;;) {
        ssize_t n = read(fd, beats, sizeof(beats));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        heard->beat_us = clock_monotonic_us();
        heard->ready = beats[n - 1] == BEAT_READY;
    }
}
