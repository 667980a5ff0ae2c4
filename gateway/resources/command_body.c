#include "gateway/resources/command_body.h"

#include "common/base/hex.h"

static struct slice octets_of(struct arena *arena, struct slice hex)
{
    char *octets = arena_alloc(arena, hex.len / 2 + 1);
    return octets && hex_decode(hex, octets) ? (struct slice){octets, hex.len / 2} : SLICE_NONE;
}

bool command_body_append(struct call *call, struct slice type, struct slice hex, struct buf *out)
{
    const char *dot = type.len > 0 ? memchr(type.data, '.', type.len) : NULL;
    const struct msg_resource *resource =
        dot ? msg_resource_by_name((struct slice){type.data, (size_t)(dot - type.data)}) : NULL;
    struct slice octets = octets_of(&call->arena, hex);
    if (!resource || !octets.data || octets.len == 0)
        return false;
    size_t before = buf_len(out);
    if (msg_to_json(resource->object, octets, out) == ERR_OK)
        return true;
    out->end = out->begin + before;
    return false;
}
