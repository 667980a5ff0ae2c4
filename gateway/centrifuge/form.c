#include "gateway/centrifuge/form.h"

#include "gateway/centrifuge/protobuf.h"
#include "gateway/ws/frame.h"

#define TEXT(literal)                      \
    {                                      \
        literal, sizeof("" literal "") - 1 \
    }

const struct form_info *form_info(enum form form)
{
    static const struct form_info infos[] = {
        [FORM_JSON] = {TEXT(""), TEXT("\n"), TEXT(""), .is_protobuf = false, .is_frame = true},
        [FORM_PROTOBUF] = {TEXT(""), TEXT(""), TEXT(""), .is_protobuf = true, .is_frame = true},
        [FORM_JSON_STREAM] = {TEXT(""), TEXT("\n"), TEXT("\n"), .is_protobuf = false, .is_frame = false},
        [FORM_PROTOBUF_STREAM] = {TEXT(""), TEXT(""), TEXT(""), .is_protobuf = true, .is_frame = false},
        [FORM_SSE] = {TEXT("data: "), TEXT("\n\ndata: "), TEXT("\n\n"), .is_protobuf = false,
                      .is_frame = false},
    };
    return &infos[form];
}

struct bytes *form_new(enum form form, size_t size, char **ret_at)
{
    const struct form_info *info = form_info(form);
    if (info->is_frame)
        return ws_frame_new(info->is_protobuf ? WS_BINARY : WS_TEXT, size, ret_at);
    char *at;
    struct bytes *piece = bytes_new(info->before.len + size + info->after.len, &at);
    memcpy(at, info->before.data, info->before.len);
    memcpy(at + info->before.len + size, info->after.data, info->after.len);
    *ret_at = at + info->before.len;
    return piece;
}

void form_append(enum form form, struct buf *messages, struct slice json)
{
    if (form_info(form)->is_protobuf) {
        protobuf_append_reply(messages, json);
        return;
    }
    if (buf_len(messages) > 0)
        buf_append_slice(messages, form_info(form)->between);
    buf_append_slice(messages, json);
}
