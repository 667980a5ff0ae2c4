#include "common/db/cancel.h"

#include <ev.h>
#include <pthread.h>
#include <signal.h>

struct cancel {
    pthread_mutex_t mutex; /* guards finished and forgotten, and the use of loop against cancel_forget */
    bool finished, forgotten;
    struct ev_loop *loop;
    ev_async wake;
    cancel_on_done *on_done;
    void *arg;
    PGcancel *request;
};

static void cancel_free(struct cancel *c)
{
    PQfreeCancel(c->request);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

static void *send_request(void *arg)
{
    struct cancel *c = arg;
    char why[256];
    /* A failure says nothing new: the statement then runs until its time limit. */
    (void)PQcancel(c->request, why, sizeof(why));
    pthread_mutex_lock(&c->mutex);
    c->finished = true;
    bool forgotten = c->forgotten;
    if (!forgotten)
        ev_async_send(c->loop, &c->wake);
    pthread_mutex_unlock(&c->mutex);
    if (forgotten)
        cancel_free(c);
    return NULL;
}

static void on_wake(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)events;
    struct cancel *c = CONTAINER_OF(watcher, struct cancel, wake);
    /* The thread may still hold the mutex after it has woken the loop. */
    pthread_mutex_lock(&c->mutex);
    pthread_mutex_unlock(&c->mutex);
    ev_async_stop(loop, &c->wake);
    c->on_done(c->arg);
    cancel_free(c);
}

/* The event loop handles signals, so the thread blocks all of them. */
static bool start_thread(struct cancel *c)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    bool started = pthread_create(&thread, &attributes, send_request, c) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

struct cancel *cancel_start(struct ev_loop *loop, PGconn *conn, cancel_on_done *on_done, void *arg)
{
    PGcancel *request = PQgetCancel(conn);
    if (!request)
        return NULL;
    struct cancel *c = xcalloc(1, sizeof(*c));
    *c = (struct cancel){.loop = loop, .on_done = on_done, .arg = arg, .request = request};
    pthread_mutex_init(&c->mutex, NULL);
    ev_async_init(&c->wake, on_wake);
    ev_async_start(loop, &c->wake);
    if (start_thread(c))
        return c;
    ev_async_stop(loop, &c->wake);
    cancel_free(c);
    return NULL;
}

void cancel_forget(struct cancel *c)
{
    if (!c)
        return;
    ev_async_stop(c->loop, &c->wake);
    pthread_mutex_lock(&c->mutex);
    c->forgotten = true;
    bool finished = c->finished;
    pthread_mutex_unlock(&c->mutex);
    if (finished)
        cancel_free(c);
}
