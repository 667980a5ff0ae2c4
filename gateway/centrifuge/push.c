#include "gateway/centrifuge/private.h"
#include "gateway/centrifuge/protobuf.h"

/* {"push":{"channel":"company:…","pub":{"data":…,"offset":42}}}, a line each, in one frame. */

#define BEFORE_CHANNEL "{\"push\":{\"channel\":\""
#define BEFORE_DATA    "\",\"pub\":{\"data\":"
#define BEFORE_OFFSET  ",\"offset\":"
#define AFTER_OFFSET   "}}}"

enum { DIGITS_MAX = 20 };

static size_t put(char *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return len;
}

#define PUT(at, literal) put((at), (literal), sizeof(literal) - 1)

static size_t digits(int64_t value, char text[DIGITS_MAX])
{
    char reversed[DIGITS_MAX];
    size_t len = 0;
    do
        reversed[len++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    for (size_t i = 0; i < len; i++)
        text[i] = reversed[len - 1 - i];
    return len;
}

static size_t line_size(const struct publication *publication, size_t name_len)
{
    char number[DIGITS_MAX];
    return sizeof(BEFORE_CHANNEL BEFORE_DATA BEFORE_OFFSET AFTER_OFFSET) - 1 + name_len +
           publication->body->slice.len + digits(publication->seq, number);
}

static size_t put_line(char *at, struct slice name, const struct publication *publication)
{
    char number[DIGITS_MAX];
    size_t len = PUT(at, BEFORE_CHANNEL);
    len += put(at + len, name.data, name.len);
    len += PUT(at + len, BEFORE_DATA);
    len += put(at + len, publication->body->slice.data, publication->body->slice.len);
    len += PUT(at + len, BEFORE_OFFSET);
    len += put(at + len, number, digits(publication->seq, number));
    return len + PUT(at + len, AFTER_OFFSET);
}

static struct bytes *json_pushes(enum form form, const struct channel *channel,
                                 const struct publication *const *publications, size_t count)
{
    struct slice between = form_info(form)->between;
    char name[CHANNEL_NAME_SIZE];
    channel_name(channel, name);
    size_t size = (count - 1) * between.len;
    for (size_t i = 0; i < count; i++)
        size += line_size(publications[i], strlen(name));
    char *at;
    struct bytes *frame = form_new(form, size, &at);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            at += put(at, between.data, between.len);
        at += put_line(at, slice_of(name), publications[i]);
    }
    return frame;
}

static struct bytes *protobuf_pushes(enum form form, const struct channel *channel,
                                     const struct publication *const *publications, size_t count)
{
    char name[CHANNEL_NAME_SIZE], *at;
    size_t size = 0;
    channel_name(channel, name);
    for (size_t i = 0; i < count; i++)
        size += protobuf_publication_size(name, publications[i]);
    struct bytes *piece = form_new(form, size, &at);
    for (size_t i = 0; i < count; i++)
        at += protobuf_put_publication(name, publications[i], at);
    return piece;
}

void push_append_publication(struct buf *out, const struct publication *publication)
{
    buf_append_text(out, "{\"data\":");
    buf_append_slice(out, publication->body->slice);
    buf_append_text(out, BEFORE_OFFSET);
    buf_append_i64(out, publication->seq);
    buf_append_char(out, '}');
}

void push_append_member(struct buf *out, const struct member *member)
{
    char client[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    uuid_format(&member->client, client);
    uuid_format(&member->user, user);
    buf_printf(out, "\"client\":\"%s\",\"user\":\"%s\"", client, user);
}

/* {"push":{"channel":"company:…","join":{"info":{"client":"…","user":"…"}}}}, each after the other. */
static struct bytes *members(enum form form, const struct channel *channel,
                             const struct member_change *changes, size_t count)
{
    enum { PUSH_MAX = 256 };
    char name[CHANNEL_NAME_SIZE], *at;
    CLEANUP(buf_done) struct buf pushes, push;
    channel_name(channel, name);
    buf_init(&pushes, count * PUSH_MAX);
    buf_init(&push, PUSH_MAX);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&push);
        buf_printf(&push, "{\"push\":{\"channel\":\"%s\",\"%s\":{\"info\":{", name,
                   changes[i].joined ? "join" : "leave");
        push_append_member(&push, &changes[i].member);
        buf_append_text(&push, "}}}}");
        form_append(form, &pushes, buf_slice(&push));
    }
    struct bytes *piece = form_new(form, buf_len(&pushes), &at);
    memcpy(at, buf_data(&pushes), buf_len(&pushes));
    return piece;
}

#define PUSH_FORM(name, form, encode)                                                                       \
    struct bytes *push_##name(const struct channel *channel, const struct publication *const *publications, \
                              size_t count)                                                                 \
    {                                                                                                       \
        return encode(form, channel, publications, count);                                                  \
    }                                                                                                       \
    struct bytes *push_members_##name(const struct channel *channel, const struct member_change *changes,   \
                                      size_t count)                                                         \
    {                                                                                                       \
        return members(form, channel, changes, count);                                                      \
    }
PUSH_FORM(json, FORM_JSON, json_pushes)
PUSH_FORM(protobuf, FORM_PROTOBUF, protobuf_pushes)
PUSH_FORM(json_stream, FORM_JSON_STREAM, json_pushes)
PUSH_FORM(protobuf_stream, FORM_PROTOBUF_STREAM, protobuf_pushes)
PUSH_FORM(sse, FORM_SSE, json_pushes)
