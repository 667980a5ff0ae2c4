#pragma once
/* Hexadecimal digits in either case. */

#include "common/base/slice.h"

/* Returns -1 for a character that is no digit. */
static inline int hex_value(char c)
{
    static const signed char values[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
        ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
        ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    }; /* each is one more, for those that are no digits are 0 */
    return values[(unsigned char)c] - 1;
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
