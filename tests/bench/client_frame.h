#pragma once
/* Frames (RFC 6455 5.2) as the clients of the bench send and read them. */

#include <err.h>
#include <stdint.h>

#include "common/base/slice.h"

enum {
    CLIENT_FRAME_MAX = 4096, /* of what is sent: little, and seldom */
    OP_TEXT = 1,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
    FIN = 0x80,
    MASKED = 0x80,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
};

/* Masked with zeros: legal, and the payload stays as it is. Returns the frame's length. */
static inline size_t client_frame(unsigned opcode, struct slice payload, uint8_t frame[CLIENT_FRAME_MAX])
{
    size_t at = 2;
    if (payload.len + 8 > CLIENT_FRAME_MAX)
        errx(2, "too long a message for a client of the bench");
    memset(frame, 0, 8);
    frame[0] = (uint8_t)(FIN | opcode);
    frame[1] = (uint8_t)(MASKED | (payload.len < LENGTH_16 ? payload.len : LENGTH_16));
    if (payload.len >= LENGTH_16) {
        frame[at++] = (uint8_t)(payload.len >> 8);
        frame[at++] = (uint8_t)payload.len;
    }
    at += 4; /* the mask */
    if (payload.len > 0)
        memcpy(frame + at, payload.data, payload.len);
    return at + payload.len;
}
