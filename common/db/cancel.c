#include "common/db/cancel.h"

#include "common/process/background.h"

struct cancel {
    struct background *background;
    cancel_on_done *on_done;
    void *arg;
    PGcancel *request;
};

static void release(void *work)
{
    struct cancel *c = work;
    PQfreeCancel(c->request);
    free(c);
}

static void send_request(void *work)
{
    struct cancel *c = work;
    char why[256];
    /* A failure says nothing new: the statement then runs until its time limit. */
    (void)PQcancel(c->request, why, sizeof(why));
}

static void done(void *work)
{
    struct cancel *c = work;
    c->on_done(c->arg);
}

static const struct background_steps steps = {.run = send_request, .done = done, .release = release};

struct cancel *cancel_start(struct ev_loop *loop, PGconn *conn, cancel_on_done *on_done, void *arg)
{
    PGcancel *request = PQgetCancel(conn);
    if (!request)
        return NULL;
    struct cancel *c = xcalloc(1, sizeof(*c));
    *c = (struct cancel){.on_done = on_done, .arg = arg, .request = request};
    struct background *background = background_start(loop, &steps, c);
    if (!background) {
        release(c);
        return NULL;
    }
    c->background = background;
    return c;
}

void cancel_forget(struct cancel *c)
{
    if (c)
        background_abandon(c->background);
}
