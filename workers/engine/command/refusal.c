#include "workers/engine/command/refusal.h"

#include "common/base/buf.h"

enum { REFUSAL_MAX = 16 << 10 };

static void append_points(struct buf *json, const struct refusal_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_append_text(json, i == 0 ? "\"errors\":[{\"pointer\":" : ",{\"pointer\":");
        buf_append_json_string(json, slice_of(points[i].pointer));
        buf_append_text(json, ",\"detail\":");
        buf_append_json_string(json, slice_of(points[i].detail));
        buf_append_char(json, '}');
    }
    if (count > 0)
        buf_append_char(json, ']');
}

void command_refuse(struct command *command, enum err err, const char *detail,
                    const struct refusal_point *points, size_t count)
{
    struct buf json CLEANUP(buf_done);
    buf_init(&json, REFUSAL_MAX);
    buf_append_char(&json, '{');
    if (detail) {
        buf_append_text(&json, "\"detail\":");
        buf_append_json_string(&json, slice_of(detail));
    }
    if (detail && count > 0)
        buf_append_char(&json, ',');
    append_points(&json, points, count);
    buf_append_char(&json, '}');
    command->status = err;
    command->http_status = err_info(err)->http_status;
    command->effects = NULL;
    command->refusal = arena_copy(&command->arena, buf_slice(&json));
}
