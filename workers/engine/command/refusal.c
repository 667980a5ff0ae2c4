#include "workers/engine/command/refusal.h"

#include <inttypes.h>
#include <stdio.h>

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

static void refuse(struct command *command, enum err err, struct slice json)
{
    command->status = err;
    command->http_status = err_info(err)->http_status;
    command->effects = NULL;
    command->refusal = arena_copy(&command->arena, json);
}

void command_refuse_version(struct command *command, int64_t present)
{
    char json[48];
    int len = snprintf(json, sizeof(json), "{\"version\":%" PRId64 "}", present);
    refuse(command, ERR_VERSION_CONFLICT, (struct slice){json, (size_t)len});
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
    refuse(command, err, buf_slice(&json));
}
