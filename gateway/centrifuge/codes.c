#include "gateway/centrifuge/codes.h"

const struct centrifuge_error_info *centrifuge_error_info(enum centrifuge_error error)
{
    static const struct centrifuge_error_info infos[] = {
#define ERROR(name, code, temporary, message) {code, temporary, message},
        CENTRIFUGE_ERRORS(ERROR)
#undef ERROR
    };
    return &infos[error];
}

const struct centrifuge_disconnect_info *centrifuge_disconnect_info(enum centrifuge_disconnect disconnect)
{
    static const struct centrifuge_disconnect_info infos[] = {
#define DISCONNECT(name, code, reason) {code, reason},
        CENTRIFUGE_DISCONNECTS(DISCONNECT)
#undef DISCONNECT
    };
    return &infos[disconnect];
}
