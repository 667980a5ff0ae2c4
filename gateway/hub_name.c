#include "gateway/hub_private.h"

static const char *const prefixes[] = {
    [CHANNEL_COMPANY] = "company:",
    [CHANNEL_PROJECT] = "project:",
};

bool channel_parse(struct slice name, enum channel_kind *ret_kind, struct uuid *ret_id)
{
    for (size_t kind = 0; kind < ARRAY_LEN(prefixes); kind++) {
        size_t prefix = strlen(prefixes[kind]);
        if (name.len != prefix + UUID_TEXT_LEN || memcmp(name.data, prefixes[kind], prefix) != 0)
            continue;
        struct slice id = {name.data + prefix, UUID_TEXT_LEN};
        char canonical[UUID_TEXT_LEN + 1];
        if (!uuid_parse(id, ret_id))
            return false;
        uuid_format(ret_id, canonical);
        *ret_kind = (enum channel_kind)kind;
        return slice_is(id, canonical); /* one channel, one name */
    }
    return false;
}

void channel_format(enum channel_kind kind, const struct uuid *id, char name[CHANNEL_NAME_SIZE])
{
    size_t len = strlen(prefixes[kind]);
    memcpy(name, prefixes[kind], len);
    uuid_format(id, name + len);
}

void channel_name(const struct channel *channel, char name[CHANNEL_NAME_SIZE])
{
    channel_format(channel->kind, &channel->node.key, name);
}
