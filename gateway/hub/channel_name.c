#include <assert.h>
#include <stdlib.h>

#include "gateway/hub/private.h"

static const char *const prefixes[] = {
    [CHANNEL_COMPANY] = "company:",
    [CHANNEL_PROJECT] = "project:",
    [CHANNEL_OPERATION] = "operation:",
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
        return slice_is(id, canonical); /* a channel has only one name */
    }
    return false;
}

/* Sorts the projects and drops repeated ones. A single project is an ordinary project channel. */
static void name_set(struct uuid *projects, size_t count, struct hub_request *request)
{
    qsort(projects, count, sizeof(*projects), uuid_compare);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++)
        if (!uuid_equal(&projects[i], &projects[kept - 1]))
            projects[kept++] = projects[i];
    struct slice octets = {(const char *)projects, kept * sizeof(*projects)};
    request->kind = kept == 1 ? CHANNEL_PROJECT : CHANNEL_PROJECTS;
    request->id = kept == 1 ? projects[0] : uuid_derive(&octets, 1);
    request->projects = projects;
    request->project_count = kept;
}

enum err channel_parse_list(struct slice names, struct uuid *projects, size_t max,
                            struct hub_request *request)
{
    size_t count = 0;
    if (names.len == 0)
        return ERR_BAD_REQUEST;
    bool has_company = false;
    for (const char *comma = names.data; comma;) {
        comma = names.len > 0 ? memchr(names.data, ',', names.len) : NULL;
        struct slice name = {names.data, comma ? (size_t)(comma - names.data) : names.len};
        enum channel_kind kind;
        struct uuid id;
        if (count == max || !channel_parse(name, &kind, &id) || kind == CHANNEL_OPERATION)
            return ERR_BAD_REQUEST;
        if (kind == CHANNEL_COMPANY && has_company && !uuid_equal(&id, &request->id))
            return ERR_FORBIDDEN;
        if (kind == CHANNEL_COMPANY) {
            has_company = true;
            request->id = id;
        }
        projects[count++] = id;
        if (comma)
            names = (struct slice){comma + 1, names.len - name.len - 1};
    }
    if (has_company)
        request->kind = CHANNEL_COMPANY;
    else
        name_set(projects, count, request);
    return ERR_OK;
}

void project_list_format(const struct uuid *projects, size_t count, struct buf *list)
{
    buf_append_char(list, '{');
    for (size_t i = 0; i < count; i++) {
        char id[UUID_TEXT_LEN + 1];
        uuid_format(&projects[i], id);
        if (i > 0)
            buf_append_char(list, ',');
        buf_append(list, id, UUID_TEXT_LEN);
    }
    buf_append_char(list, '}');
}

void channel_format(enum channel_kind kind, const struct uuid *id, char name[CHANNEL_NAME_SIZE])
{
    assert(kind < ARRAY_LEN(prefixes));
    size_t len = strlen(prefixes[kind]);
    memcpy(name, prefixes[kind], len);
    uuid_format(id, name + len);
}

void channel_name(const struct channel *channel, char name[CHANNEL_NAME_SIZE])
{
    channel_format(channel->kind, &channel->node.key, name);
}
