#include "gateway/hub/position.h"

#include <stdio.h>

enum { DIGITS_MAX = 18 }; /* fits int64_t without overflow */

struct slice position_format(const char *epoch, int64_t offset, char text[POSITION_SIZE])
{
    int len = snprintf(text, POSITION_SIZE, "%s:%lld", epoch, (long long)offset);
    return (struct slice){text, (size_t)len};
}

bool position_parse(struct slice text, struct position *ret_position)
{
    const char *colon = text.len > 0 ? memrchr(text.data, ':', text.len) : NULL;
    size_t epoch_len = colon ? (size_t)(colon - text.data) : 0;
    struct slice digits = {text.data + epoch_len + (colon ? 1 : 0), text.len - epoch_len - (colon ? 1 : 0)};
    int64_t offset = 0;
    if (digits.len == 0 || digits.len > DIGITS_MAX || epoch_len >= EPOCH_SIZE)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        offset = offset * 10 + (digits.data[i] - '0');
    }
    *ret_position = (struct position){{epoch_len > 0 ? text.data : "", epoch_len}, offset};
    return true;
}
