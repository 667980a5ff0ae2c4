#pragma once
/* The body of the command by which the pool webhooks keeps an event, or maps one again (schemas/messages/hook_event.json). */

#include "common/base/buf.h"
#include "gateway/http/call.h"

enum { HOOK_MESSAGE_MAX = 15 << 20 }; /* what the broker takes is more */

/* The parts of it. Texts that are no UTF-8 are taken for Latin-1. */
struct hook_message {
    const char *source_id;
    const json_t *source; /* as it is known now */
    struct slice sender_id, event, content_type;
    const struct call_header *headers;
    size_t header_count;
    struct slice body;
};

/* Appends the message. ERR_BODY_TOO_LARGE: it is larger than HOOK_MESSAGE_MAX. */
enum err hook_message_write(const struct hook_message *message, struct call *call,
                            struct buf *out) MUST_CHECK;
