#include "common/process/background.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct background {
    pthread_mutex_t mutex; /* guards finished and abandoned, and the use of loop against background_abandon */
    bool finished, abandoned;
    struct ev_loop *loop;
    ev_async wake;
    const struct background_steps *steps;
    void *work;
};

static void background_free(struct background *b)
{
    pthread_mutex_destroy(&b->mutex);
    free(b);
}

static void release(struct background *b)
{
    b->steps->release(b->work);
    background_free(b);
}

static void *run(void *arg)
{
    struct background *b = arg;
    b->steps->run(b->work);
    pthread_mutex_lock(&b->mutex);
    b->finished = true;
    bool abandoned = b->abandoned;
    if (!abandoned)
        ev_async_send(b->loop, &b->wake);
    pthread_mutex_unlock(&b->mutex);
    if (abandoned)
        release(b);
    return NULL;
}

static void on_wake(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)events;
    struct background *b = CONTAINER_OF(watcher, struct background, wake);
    /* The thread may still hold the mutex after it has woken the loop. */
    pthread_mutex_lock(&b->mutex);
    pthread_mutex_unlock(&b->mutex);
    ev_async_stop(loop, &b->wake);
    b->steps->done(b->work);
    release(b);
}

/* The event loop handles signals, so the thread blocks all of them. */
static bool start_thread(struct background *b)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    bool started = pthread_create(&thread, &attributes, run, b) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

struct background *background_start(struct ev_loop *loop, const struct background_steps *steps, void *work)
{
    struct background *b = xcalloc(1, sizeof(*b));
    b->loop = loop;
    b->steps = steps;
    b->work = work;
    pthread_mutex_init(&b->mutex, NULL);
    ev_async_init(&b->wake, on_wake);
    ev_async_start(loop, &b->wake);
    if (start_thread(b))
        return b;
    ev_async_stop(loop, &b->wake);
    background_free(b);
    return NULL;
}

void background_abandon(struct background *b)
{
    if (!b)
        return;
    ev_async_stop(b->loop, &b->wake);
    pthread_mutex_lock(&b->mutex);
    b->abandoned = true;
    bool finished = b->finished;
    pthread_mutex_unlock(&b->mutex);
    if (finished)
        release(b);
}
