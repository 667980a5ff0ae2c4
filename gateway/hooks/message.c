#include "gateway/hooks/message.h"

#include "common/base/base64.h"
#include "common/base/json.h"
#include "common/base/utf8.h"

enum { NAME_LENGTH_MAX = 255 };

/* Each octet that is not ASCII becomes two. */
static json_t *text_of_latin1(struct slice text)
{
    CLEANUP(buf_done) struct buf utf8;
    buf_init(&utf8, 2 * text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t octet = (uint8_t)text.data[i];
        if (octet >= 0x80)
            buf_append_char(&utf8, (char)(0xc0 | octet >> 6));
        buf_append_char(&utf8, (char)(octet >= 0x80 ? 0x80 | (octet & 0x3f) : octet));
    }
    return json_stringn(buf_slice(&utf8).data, buf_len(&utf8));
}

static json_t *text_of(struct slice text)
{
    return utf8_valid(text) ? json_stringn(text.data, text.len) : text_of_latin1(text);
}

/* NULL, which leaves it out, where there is none. What is longer than the field is cut; the event has all of it. */
static json_t *short_text(struct slice text)
{
    if (!text.data)
        return NULL;
    size_t len = text.len < NAME_LENGTH_MAX ? text.len : NAME_LENGTH_MAX;
    while (len > 0 && len < text.len && ((uint8_t)text.data[len] & 0xc0) == 0x80)
        len--; /* not within a character */
    return memchr(text.data, '\0', len) ? NULL : text_of((struct slice){text.data, len});
}

static bool is_secret(struct slice name)
{
    static const struct slice secrets[] = {{"authorization", 13}, {"cookie", 6}, {"proxy-authorization", 19}};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        if (slice_equal_nocase(name, secrets[i]))
            return true;
    return false;
}

static json_t *headers_of(const struct hook_message *m)
{
    json_t *headers = json_array();
    for (size_t i = 0; i < m->header_count; i++)
        if (!is_secret(m->headers[i].name))
            json_array_append_new(headers, json_pack("{s:o, s:o}", "name", text_of(m->headers[i].name),
                                                     "value", text_of(m->headers[i].value)));
    return headers;
}

/* The source, and the type of the body, as text. */
static json_t *work_of(const struct hook_message *m)
{
    CLEANUP(json_cleanup)
    json_t *work = json_pack("{s:O, s:o*}", "source", m->source, "content_type", short_text(m->content_type));
    CLEANUP_FREE char *text = json_dumps(work, JSON_COMPACT);
    return json_string(text);
}

static json_t *body_of(struct slice body)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, (body.len + 2) / 3 * 4 + 1);
    base64_append(&text, body);
    return json_stringn(buf_slice(&text).data, buf_len(&text));
}

enum err hook_message_write(const struct hook_message *m, struct call *call, struct buf *out)
{
    struct msg_problems problems = {.arena = &call->arena};
    const struct msg_resource *events = msg_resource_by_name(SLICE("hook_event"));
    CLEANUP(json_cleanup)
    json_t *json =
        json_pack("{s:s, s:o*, s:o*, s:o, s:I, s:o, s:o}", "source_id", m->source_id, "sender_id",
                  short_text(m->sender_id), "event", short_text(m->event), "headers", headers_of(m), "size",
                  (json_int_t)m->body.len, "body", body_of(m->body), "work", work_of(m));
    return json ? msg_from_json(events->object, MSG_CREATE, json, out, &problems) : ERR_INTERNAL;
}
