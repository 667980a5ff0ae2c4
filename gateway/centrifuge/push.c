#include "gateway/centrifuge/private.h"
#include "gateway/ws/frame.h"

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

struct bytes *push_publications(const struct channel *channel, const struct publication *const *publications,
                                size_t count)
{
    char name[CHANNEL_NAME_SIZE];
    channel_name(channel, name);
    size_t size = count - 1; /* newlines between */
    for (size_t i = 0; i < count; i++)
        size += line_size(publications[i], strlen(name));
    char *at;
    struct bytes *frame = ws_frame_new(size, &at);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *at++ = '\n';
        at += put_line(at, slice_of(name), publications[i]);
    }
    return frame;
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

/* {"push":{"channel":"company:…","join":{"info":{"client":"…","user":"…"}}}}, a line each, in one frame. */
struct bytes *push_members(const struct channel *channel, const struct member_change *changes, size_t count)
{
    enum { LINE_MAX = 256 };
    char name[CHANNEL_NAME_SIZE], *at;
    CLEANUP(buf_done) struct buf lines;
    channel_name(channel, name);
    buf_init(&lines, count * LINE_MAX);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&lines, "%s{\"push\":{\"channel\":\"%s\",\"%s\":{\"info\":{", i > 0 ? "\n" : "", name,
                   changes[i].joined ? "join" : "leave");
        push_append_member(&lines, &changes[i].member);
        buf_append_text(&lines, "}}}}");
    }
    struct bytes *frame = ws_frame_new(buf_len(&lines), &at);
    memcpy(at, buf_data(&lines), buf_len(&lines));
    return frame;
}
