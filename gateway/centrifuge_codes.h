#pragma once
/* The error, disconnect and unsubscribe codes of the Centrifuge client protocol that we use, with the texts of its
 * authors' server. Clients come back by themselves after a disconnect in 3000–3499, and not after 3500–3999. */

#include <stdbool.h>

/* CENTRIFUGE_ERROR(name, code, worth another try, message): in the reply to a command. */
#define CENTRIFUGE_ERRORS(ERROR)                                \
    ERROR(INTERNAL, 100, true, "internal server error")         \
    ERROR(UNAUTHORIZED, 101, false, "unauthorized")             \
    ERROR(UNKNOWN_CHANNEL, 102, false, "unknown channel")       \
    ERROR(PERMISSION_DENIED, 103, false, "permission denied")   \
    ERROR(ALREADY_SUBSCRIBED, 105, false, "already subscribed") \
    ERROR(LIMIT_EXCEEDED, 106, false, "limit exceeded")         \
    ERROR(BAD_REQUEST, 107, false, "bad request")               \
    ERROR(NOT_AVAILABLE, 108, false, "not available")           \
    ERROR(TOKEN_EXPIRED, 109, false, "token expired")

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

/* CENTRIFUGE_DISCONNECT(name, code, reason): in a close frame. */
#define CENTRIFUGE_DISCONNECTS(DISCONNECT)                  \
    DISCONNECT(SHUTDOWN, 3001, "shutdown")                  \
    DISCONNECT(SERVER_ERROR, 3004, "internal server error") \
    DISCONNECT(EXPIRED, 3005, "connection expired")         \
    DISCONNECT(SLOW, 3008, "slow")                          \
    DISCONNECT(NO_PONG, 3012, "no pong")                    \
    DISCONNECT(INVALID_TOKEN, 3500, "invalid token")        \
    DISCONNECT(BAD_REQUEST, 3501, "bad request")            \
    DISCONNECT(STALE, 3502, "stale")                        \
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

/* In an unsubscribe push: 2500 and up make the client subscribe again with its position. */
enum { CENTRIFUGE_UNSUBSCRIBE_INSUFFICIENT = 2500 };
