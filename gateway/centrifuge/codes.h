#pragma once
/* The error, disconnect and unsubscribe codes of the Centrifuge client protocol that we use, with the
 * texts of its authors' server. Clients reconnect by themselves after a disconnect code of 3000–3499, and
 * not after 3500–3999. */

#include <stdbool.h>

/* ERROR(name, code, temporary, message): in the reply to a command. A client may repeat it after a
 * temporary error. */
#define CENTRIFUGE_ERRORS(ERROR)                                \
    ERROR(INTERNAL, 100, true, "internal server error")         \
    ERROR(UNAUTHORIZED, 101, false, "unauthorized")             \
    ERROR(UNKNOWN_CHANNEL, 102, false, "unknown channel")       \
    ERROR(PERMISSION_DENIED, 103, false, "permission denied")   \
    ERROR(METHOD_NOT_FOUND, 104, false, "method not found")     \
    ERROR(ALREADY_SUBSCRIBED, 105, false, "already subscribed") \
    ERROR(LIMIT_EXCEEDED, 106, false, "limit exceeded")         \
    ERROR(BAD_REQUEST, 107, false, "bad request")               \
    ERROR(NOT_AVAILABLE, 108, false, "not available")           \
    ERROR(TOKEN_EXPIRED, 109, false, "token expired")           \
    ERROR(TOO_MANY_REQUESTS, 111, true, "too many requests")    \
    ERROR(UNRECOVERABLE_POSITION, 112, false, "unrecoverable position")

enum centrifuge_error {
#define ERROR(name, code, temporary, message) CENTRIFUGE_ERROR_##name,
    CENTRIFUGE_ERRORS(ERROR)
#undef ERROR
};

struct centrifuge_error_info {
    int code;
    bool temporary;
    const char *message;
};
const struct centrifuge_error_info *centrifuge_error_info(enum centrifuge_error error);

/* DISCONNECT(name, code, reason): in a close frame. */
#define CENTRIFUGE_DISCONNECTS(DISCONNECT)                     \
    DISCONNECT(SHUTDOWN, 3001, "shutdown")                     \
    DISCONNECT(SERVER_ERROR, 3004, "internal server error")    \
    DISCONNECT(EXPIRED, 3005, "connection expired")            \
    DISCONNECT(SLOW, 3008, "slow")                             \
    DISCONNECT(INSUFFICIENT_STATE, 3010, "insufficient state") \
    DISCONNECT(NO_PONG, 3012, "no pong")                       \
    DISCONNECT(TOO_MANY_REQUESTS, 3013, "too many requests")   \
    DISCONNECT(INVALID_TOKEN, 3500, "invalid token")           \
    DISCONNECT(BAD_REQUEST, 3501, "bad request")               \
    DISCONNECT(STALE, 3502, "stale")                           \
    DISCONNECT(CONNECTION_LIMIT, 3504, "connection limit")     \
    DISCONNECT(CHANNEL_LIMIT, 3505, "channel limit")           \
    DISCONNECT(NOT_AVAILABLE, 3508, "not available")

enum centrifuge_disconnect {
#define DISCONNECT(name, code, reason) CENTRIFUGE_DISCONNECT_##name,
    CENTRIFUGE_DISCONNECTS(DISCONNECT)
#undef DISCONNECT
};

struct centrifuge_disconnect_info {
    int code;
    const char *reason;
};
const struct centrifuge_disconnect_info *centrifuge_disconnect_info(enum centrifuge_disconnect disconnect);

/* In an unsubscribe push. A client that gets 2500 or more subscribes again with its position. */
enum { CENTRIFUGE_UNSUBSCRIBE_SERVER = 2000, CENTRIFUGE_UNSUBSCRIBE_INSUFFICIENT = 2500 };
