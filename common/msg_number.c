#include <math.h>
#include <stdio.h>

#include "common/msg_check.h"

static size_t digits_of(uint64_t value, char *end)
{
    size_t count = 0;
    do {
        end[-(ptrdiff_t)++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return count;
}

/* Money and hours: whole hundredths. A decimal of at most 15 digits that rounds to `value` is the shortest one that does. */
static size_t hundredths_text(double value, char text[MSG_NUMBER_TEXT_SIZE])
{
    double hundredths = round(fabs(value) * 100);
    if (hundredths >= 1e15 || hundredths / 100 != fabs(value))
        return 0;
    uint64_t whole = (uint64_t)hundredths / 100, part = (uint64_t)hundredths % 100;
    char digits[24];
    size_t count = digits_of(whole, digits + sizeof(digits)), len = 0;
    if (signbit(value) && hundredths > 0)
        text[len++] = '-';
    memcpy(text + len, digits + sizeof(digits) - count, count);
    len += count;
    if (part) {
        text[len++] = '.';
        text[len++] = (char)('0' + part / 10);
        if (part % 10)
            text[len++] = (char)('0' + part % 10);
    }
    text[len] = '\0';
    return len;
}

size_t msg_number_text(double value, char text[MSG_NUMBER_TEXT_SIZE])
{
    size_t len = hundredths_text(value, text);
    for (int precision = 15; len == 0 && precision <= 17; precision++) {
        int written = snprintf(text, MSG_NUMBER_TEXT_SIZE, "%.*g", precision, value);
        if (strtod(text, NULL) == value || precision == 17)
            len = (size_t)written;
    }
    return len;
}
