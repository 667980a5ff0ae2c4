#include "gateway/hub/event_text.h"

#include "common/msg/msg.h"

struct bytes *event_text_on_one_line(struct bytes *text)
{
    if (!memchr(text->slice.data, '\n', text->slice.len) && !memchr(text->slice.data, '\r', text->slice.len))
        return text;
    /* A JSON text has line ends only between tokens, where a blank means the same. */
    char *space;
    struct bytes *flat = bytes_new(text->slice.len, &space);
    for (size_t i = 0; i < text->slice.len; i++) {
        char c = text->slice.data[i];
        space[i] = c == '\n' || c == '\r' ? ' ' : c;
    }
    bytes_unref(text);
    return flat;
}

struct slice event_text_type(struct slice text)
{
    static const char beginning[] = "{\"type\":\"";
    size_t at = sizeof(beginning) - 1;
    if (text.len <= at || memcmp(text.data, beginning, at) != 0)
        return SLICE("message");
    const char *end = memchr(text.data + at, '"', text.len - at);
    return end ? (struct slice){text.data + at, (size_t)(end - text.data) - at} : SLICE("message");
}

const struct msg_resource *event_text_resource(struct slice text)
{
    struct slice type = event_text_type(text);
    const char *dot = memchr(type.data, '.', type.len);
    return dot ? msg_resource_by_name((struct slice){type.data, (size_t)(dot - type.data)}) : NULL;
}
