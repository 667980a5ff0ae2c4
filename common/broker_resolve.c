#include "common/broker_private.h"

#include <pthread.h>
#include <stdio.h>

/* getaddrinfo may wait for seconds, so it runs in a thread of its own. The thread and the broker share this; the lock
 * decides who frees it: the broker when the answer came first, the thread when the broker gave up first. */
struct broker_resolution {
    pthread_mutex_t lock;
    bool done, abandoned;
    struct ev_loop *loop;
    ev_async *wake;
    char *host;
    char port[8];
    int error;
    struct addrinfo *addresses;
};

static const struct addrinfo STREAM_HINTS = {
    .ai_family = AF_UNSPEC,
    .ai_socktype = SOCK_STREAM,
    .ai_flags = AI_NUMERICSERV,
};

static void resolution_free(struct broker_resolution *r)
{
    if (r->addresses)
        freeaddrinfo(r->addresses);
    pthread_mutex_destroy(&r->lock);
    free(r->host);
    free(r);
}

static void *resolve_in_thread(void *arg)
{
    struct broker_resolution *r = arg;
    struct addrinfo *addresses = NULL;
    int error = getaddrinfo(r->host, r->port, &STREAM_HINTS, &addresses);
    pthread_mutex_lock(&r->lock);
    r->error = error;
    r->addresses = error ? NULL : addresses;
    r->done = true;
    bool abandoned = r->abandoned;
    if (!abandoned)
        ev_async_send(r->loop, r->wake);
    pthread_mutex_unlock(&r->lock);
    if (abandoned)
        resolution_free(r);
    return NULL;
}

static bool resolve_numeric(struct broker *b, const struct broker_url *url, const char *port)
{
    struct addrinfo hints = STREAM_HINTS;
    hints.ai_flags |= AI_NUMERICHOST;
    return getaddrinfo(url->host, port, &hints, &b->addresses) == 0;
}

static struct broker_resolution *resolution_new(struct broker *b, const struct broker_url *url, const char *port)
{
    struct broker_resolution *r = xcalloc(1, sizeof(*r));
    pthread_mutex_init(&r->lock, NULL);
    r->loop = b->loop;
    r->wake = &b->resolved;
    r->host = xstrdup(url->host);
    snprintf(r->port, sizeof(r->port), "%s", port);
    return r;
}

bool broker_resolve(struct broker *b, const struct broker_url *url)
{
    char port[8];
    snprintf(port, sizeof(port), "%d", url->port);
    if (resolve_numeric(b, url, port))
        return true;

    b->resolution = resolution_new(b, url, port);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int failed = pthread_create(&thread, &attributes, resolve_in_thread, b->resolution);
    pthread_attr_destroy(&attributes);
    if (failed) {
        b->resolution->error = EAI_MEMORY;
        b->resolution->done = true;
        ev_async_send(b->loop, &b->resolved);
    }
    return false;
}

bool broker_resolve_take(struct broker *b, const char **ret_why)
{
    struct broker_resolution *r = b->resolution;
    if (!r)
        return false;
    pthread_mutex_lock(&r->lock);
    bool done = r->done;
    pthread_mutex_unlock(&r->lock);
    if (!done)
        return false;
    b->resolution = NULL;
    b->addresses = TAKE(r->addresses);
    *ret_why = r->error ? gai_strerror(r->error) : NULL;
    resolution_free(r);
    return true;
}

void broker_resolve_abandon(struct broker *b)
{
    struct broker_resolution *r = TAKE(b->resolution);
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->abandoned = true;
    bool done = r->done;
    pthread_mutex_unlock(&r->lock);
    if (done)
        resolution_free(r);
}
