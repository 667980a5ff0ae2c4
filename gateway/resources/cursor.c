#include "gateway/resources/cursor.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const int64_t YEAR_10000_US = INT64_C(253402300800000000);

enum { TIME_OCTETS = 8, OCTETS = TIME_OCTETS + sizeof(struct uuid) };

void cursor_format(const struct cursor *cursor, char text[CURSOR_LEN + 1])
{
    uint8_t octets[OCTETS];
    for (size_t i = 0; i < TIME_OCTETS; i++)
        octets[i] = (uint8_t)((uint64_t)cursor->created_us >> (56 - 8 * i));
    memcpy(octets + TIME_OCTETS, cursor->id.octet, sizeof(cursor->id.octet));
    for (size_t i = 0; i < OCTETS / 3; i++) {
        uint32_t bits = (uint32_t)octets[3 * i] << 16 | (uint32_t)octets[3 * i + 1] << 8 | octets[3 * i + 2];
        for (size_t k = 0; k < 4; k++)
            text[4 * i + k] = alphabet[bits >> (18 - 6 * k) & 63];
    }
    text[CURSOR_LEN] = '\0';
}

enum err cursor_parse(struct slice text, struct cursor *ret_cursor)
{
    if (text.len != CURSOR_LEN)
        return ERR_BAD_REQUEST;
    uint8_t octets[OCTETS];
    for (size_t i = 0; i < OCTETS / 3; i++) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *found = memchr(alphabet, text.data[4 * i + k], sizeof(alphabet) - 1);
            if (!found)
                return ERR_BAD_REQUEST;
            bits = bits << 6 | (uint32_t)(found - alphabet);
        }
        for (size_t k = 0; k < 3; k++)
            octets[3 * i + k] = (uint8_t)(bits >> (16 - 8 * k));
    }
    uint64_t created = 0;
    for (size_t i = 0; i < TIME_OCTETS; i++)
        created = created << 8 | octets[i];
    if (created >= (uint64_t)YEAR_10000_US)
        return ERR_BAD_REQUEST;
    ret_cursor->created_us = (int64_t)created;
    memcpy(ret_cursor->id.octet, octets + TIME_OCTETS, sizeof(ret_cursor->id.octet));
    return ERR_OK;
}
