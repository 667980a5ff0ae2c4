#include "gateway/http/field.h"

struct slice field_next(struct slice *rest, char separator)
{
    bool quoted = false;
    size_t len = 0;
    for (; len < rest->len; len++) {
        char c = rest->data[len];
        if (c == '\\' && quoted)
            len++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == separator && !quoted)
            break;
    }
    if (len > rest->len)
        len = rest->len;
    struct slice part = {rest->data, len};
    size_t step = len < rest->len ? len + 1 : len;
    *rest = (struct slice){rest->data + step, rest->len - step};
    return field_trim(part);
}
