#include "common/net/resolve.h"

#include <string.h>

#include "common/process/background.h"

struct resolve {
    struct background *background;
    resolve_on_done *on_done;
    void *arg;
    int error;
    struct addrinfo *addresses;
    char host[];
};

static void release(void *work)
{
    struct resolve *r = work;
    if (r->addresses)
        freeaddrinfo(r->addresses);
    free(r);
}

static void look_up(void *work)
{
    struct resolve *r = work;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *addresses = NULL;
    r->error = getaddrinfo(r->host, NULL, &hints, &addresses);
    if (r->error == 0)
        r->addresses = addresses;
}

static void done(void *work)
{
    struct resolve *r = work;
    r->on_done(r->arg, r->addresses, r->addresses ? NULL : gai_strerror(r->error));
}

static const struct background_steps steps = {.run = look_up, .done = done, .release = release};

struct resolve *resolve_start(struct ev_loop *loop, const char *host, resolve_on_done *on_done, void *arg)
{
    size_t len = strlen(host);
    struct resolve *r = xcalloc(1, sizeof(*r) + len + 1);
    memcpy(r->host, host, len);
    r->on_done = on_done;
    r->arg = arg;
    struct background *background = background_start(loop, &steps, r);
    if (!background) {
        release(r);
        return NULL;
    }
    r->background = background;
    return r;
}

void resolve_cancel(struct resolve *r)
{
    if (r)
        background_abandon(r->background);
}
