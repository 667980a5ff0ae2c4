#include <math.h>
#include <stdio.h>

#include "common/msg/check.h"

static size_t put_digits(uint64_t value, char *at)
{
    char digits[20];
    size_t from = sizeof(digits);
    do {
        digits[--from] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    memcpy(at, digits + from, sizeof(digits) - from);
    return sizeof(digits) - from;
}

size_t msg_integer_text(int64_t value, char text[MSG_NUMBER_TEXT_SIZE])
{
    size_t len = 0;
    if (value < 0)
        text[len++] = '-';
    len += put_digits(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, text + len);
    text[len] = '\0';
    return len;
}

/* Money and hours are whole hundredths. At most one decimal of up to 15 digits rounds to `value`, so it is
 * the shortest. */
static size_t hundredths_text(double value, char text[MSG_NUMBER_TEXT_SIZE])
{
    double hundredths = round(fabs(value) * 100);
    if (hundredths >= 1e15 || hundredths / 100 != fabs(value))
        return 0;
    uint64_t part = (uint64_t)hundredths % 100;
    size_t len = 0;
    if (value < 0)
        text[len++] = '-';
    len += put_digits((uint64_t)hundredths / 100, text + len);
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
