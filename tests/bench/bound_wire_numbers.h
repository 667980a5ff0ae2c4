#pragma once
/* The numbers of AMQP 0-9-1 that bound_wire_write.c and bound_wire_read.c share. */

enum {
    FRAME_HEAD = 7, /* type, channel, size */
    FRAME_TAIL = 1,
    FRAME_METHOD = 1,
    FRAME_HEADER = 2,
    FRAME_BODY = 3,
    FRAME_HEARTBEAT = 8,
    FRAME_END = 0xCE,
};

#define METHOD(class, method) ((uint32_t)(class) << 16 | (method))
enum {
    CONNECTION_CLOSE = METHOD(10, 50),
    CHANNEL_CLOSE = METHOD(20, 40),
    BASIC_CONSUME = METHOD(60, 20),
    BASIC_PUBLISH = METHOD(60, 40),
    BASIC_RETURN = METHOD(60, 50),
    BASIC_DELIVER = METHOD(60, 60),
    BASIC_ACK = METHOD(60, 80),
    BASIC_NACK = METHOD(60, 120),
};

/* Flags of the basic class's properties, in the order in which they are sent. */
enum {
    HAS_CONTENT_TYPE = 1 << 15,
    HAS_CONTENT_ENCODING = 1 << 14,
    HAS_HEADERS = 1 << 13,
    HAS_DELIVERY_MODE = 1 << 12,
    HAS_PRIORITY = 1 << 11,
    HAS_CORRELATION_ID = 1 << 10,
    HAS_REPLY_TO = 1 << 9,
    HAS_EXPIRATION = 1 << 8,
    HAS_MESSAGE_ID = 1 << 7,
    HAS_TIMESTAMP = 1 << 6,
    HAS_TYPE = 1 << 5,
};
