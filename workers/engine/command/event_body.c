#include "workers/engine/command/event_body.h"

static void append_uuid(struct buf *body, const char *name, const struct uuid *uuid)
{
    char text[UUID_TEXT_LEN + 1];
    uuid_format(uuid, text);
    buf_append_text(body, name);
    buf_append(body, text, UUID_TEXT_LEN);
}

int64_t event_body_write(struct buf *body, const struct effect *effect)
{
    buf_clear(body);
    buf_append_text(body, "{\"type\":\"");
    buf_append_slice(body, effect->type);
    buf_append_text(body, "\",\"seq\":");
    buf_append_i64(body, effect->seq);
    append_uuid(body, ",\"id\":\"", &effect->subject);
    if (effect->has_project)
        append_uuid(body, "\",\"project\":\"", &effect->project);
    append_uuid(body, "\",\"actor\":\"", &effect->actor);
    buf_append_text(body, "\",\"at\":\"");
    buf_append_slice(body, effect->at);
    buf_append_text(body, "\",\"data\":");
    int64_t entity_at = (int64_t)buf_len(body);
    buf_append_slice(body, effect->data);
    buf_append_char(body, '}');
    return entity_at;
}
