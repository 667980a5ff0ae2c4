#include "gateway/http/caching.h"

#include "gateway/http/router.h"

static const struct {
    unsigned bit;
    struct slice name;
} varying[] = {
    {VARY_AUTHORIZATION, SLICE("Authorization")},
    {VARY_ACCEPT, SLICE("Accept")},
    {VARY_ORIGIN, SLICE("Origin")},
};

static void append_vary(struct buf *head, unsigned vary)
{
    bool first = true;
    for (size_t i = 0; i < ARRAY_LEN(varying); i++) {
        if (!(vary & varying[i].bit))
            continue;
        buf_append_text(head, first ? "Vary: " : ", ");
        buf_append_slice(head, varying[i].name);
        first = false;
    }
    if (!first)
        buf_append(head, "\r\n", 2);
}

static const char *policy_of(const struct call *call, int status)
{
    bool is_private = call->route && route_asks_token(call->route);
    if (call->cache)
        return call->cache;
    if (status >= 400 || !call->route || call->route->access == ACCESS_HEALTH)
        return is_private ? "private, no-store" : "no-store";
    return is_private ? "private, no-cache" : "no-cache";
}

void caching_append(struct buf *head, const struct call *call, int status)
{
    bool asks_token = call->route && route_asks_token(call->route);
    buf_append_text(head, "Cache-Control: ");
    buf_append_text(head, policy_of(call, status));
    buf_append(head, "\r\n", 2);
    append_vary(head, call->vary | (asks_token ? VARY_AUTHORIZATION : 0));
    buf_append_text(head, "X-Content-Type-Options: nosniff\r\n");
}
