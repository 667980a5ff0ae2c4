#include "gateway/centrifuge/form.h"

#include "gateway/centrifuge/protobuf.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/handshake.h"

const struct form_info *form_info(enum form form)
{
    static const struct form_info infos[] = {
        [FORM_JSON] = {WS_SUBPROTOCOL_JSON, "\n", false},
        [FORM_PROTOBUF] = {WS_SUBPROTOCOL_PROTOBUF, "", true},
    };
    return &infos[form];
}

struct bytes *form_new(enum form form, size_t size, char **ret_at)
{
    return ws_frame_new(form_info(form)->is_protobuf ? WS_BINARY : WS_TEXT, size, ret_at);
}

void form_append(enum form form, struct buf *messages, struct slice json)
{
    if (form_info(form)->is_protobuf) {
        protobuf_append_reply(messages, json);
        return;
    }
    if (buf_len(messages) > 0)
        buf_append_text(messages, form_info(form)->between);
    buf_append_slice(messages, json);
}
