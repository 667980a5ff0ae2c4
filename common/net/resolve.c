#include "common/net/resolve.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

struct resolve {
    pthread_mutex_t mutex; /* guards finished and abandoned, and the use of loop against resolve_cancel */
    bool finished, abandoned;
    struct ev_loop *loop;
    ev_async wake;
    resolve_on_done *on_done;
    void *arg;
    int error;
    struct addrinfo *addresses;
    char host[];
};

static void resolve_free(struct resolve *r)
{
    if (r->addresses)
        freeaddrinfo(r->addresses);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

static void *look_up(void *arg)
{
    struct resolve *r = arg;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *addresses = NULL;
    int error = getaddrinfo(r->host, NULL, &hints, &addresses);

    pthread_mutex_lock(&r->mutex);
    r->error = error;
    r->addresses = error == 0 ? addresses : NULL;
    r->finished = true;
    bool abandoned = r->abandoned;
    if (!abandoned)
        ev_async_send(r->loop, &r->wake);
    pthread_mutex_unlock(&r->mutex);
    if (abandoned)
        resolve_free(r);
    return NULL;
}

static void on_wake(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)events;
    struct resolve *r = CONTAINER_OF(watcher, struct resolve, wake);
    /* The thread may still hold the mutex after it has woken the loop. */
    pthread_mutex_lock(&r->mutex);
    pthread_mutex_unlock(&r->mutex);
    ev_async_stop(loop, &r->wake);
    r->on_done(r->arg, r->addresses, r->addresses ? NULL : gai_strerror(r->error));
    resolve_free(r);
}

/* The event loop handles signals, so the thread blocks all of them. */
static bool start_thread(struct resolve *r)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    bool started = pthread_create(&thread, &attributes, look_up, r) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

struct resolve *resolve_start(struct ev_loop *loop, const char *host, resolve_on_done *on_done, void *arg)
{
    size_t len = strlen(host);
    struct resolve *r = xcalloc(1, sizeof(*r) + len + 1);
    memcpy(r->host, host, len);
    pthread_mutex_init(&r->mutex, NULL);
    r->loop = loop;
    r->on_done = on_done;
    r->arg = arg;
    ev_async_init(&r->wake, on_wake);
    ev_async_start(loop, &r->wake);
    if (start_thread(r))
        return r;
    ev_async_stop(loop, &r->wake);
    resolve_free(r);
    return NULL;
}

void resolve_cancel(struct resolve *r)
{
    if (!r)
        return;
    ev_async_stop(r->loop, &r->wake);
    pthread_mutex_lock(&r->mutex);
    r->abandoned = true;
    bool finished = r->finished;
    pthread_mutex_unlock(&r->mutex);
    if (finished)
        resolve_free(r);
}
