#pragma once
/* Hexadecimal digits in either case. */

#include "common/base/slice.h"

/* Returns -1 for a character that is no digit. */
static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes one octet for every two digits, so `octets` needs room for half of them. Returns false for any other
 * character and for an odd number of digits. */
static inline bool hex_decode(struct slice digits, char *octets)
{
    for (size_t i = 0; i + 1 < digits.len; i += 2) {
        int high = hex_value(digits.data[i]), low = hex_value(digits.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        octets[i / 2] = (char)(high << 4 | low);
    }
    return digits.len % 2 == 0;
}
