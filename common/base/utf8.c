#include "common/base/utf8.h"

#include <stdint.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static uint64_t word_at(const char *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    return word;
}

/* Which second octets may follow which first ones: one row for each line of the grammar of RFC 3629 section
 * 4. */
static const struct lead {
    uint8_t from, to, second_from, second_to, length;
} leads[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static const struct lead *lead_of(uint8_t octet)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
        if (octet >= leads[i].from && octet <= leads[i].to)
            return &leads[i];
    return NULL;
}

/* Returns the octets of the sequence at `at`, which is not ASCII: more than `left` when it is cut short, 0
 * when it is malformed. */
static size_t sequence_length(const uint8_t *at, size_t left)
{
    const struct lead *lead = lead_of(at[0]);
    if (!lead || (left > 1 && (at[1] < lead->second_from || at[1] > lead->second_to)))
        return 0;
    for (size_t i = 2; i < lead->length && i < left; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return lead->length;
}

bool utf8_begins_valid(struct slice text, size_t *ret_whole)
{
    size_t i = 0, length = 0;
    for (; i < text.len; i += length) {
        length = 1;
        if (text.len - i >= sizeof(uint64_t) && !(word_at(text.data + i) & HIGH_BITS))
            length = sizeof(uint64_t);
        else if (text.data[i] & 0x80)
            length = sequence_length((const uint8_t *)text.data + i, text.len - i);
        if (length == 0)
            return false;
        if (length > text.len - i)
            break;
    }
    *ret_whole = i;
    return true;
}

bool utf8_valid(struct slice text)
{
    size_t whole;
    return utf8_begins_valid(text, &whole) && whole == text.len;
}

void utf8_mend(char *text)
{
    size_t len = strlen(text), i = 0, length;
    for (; i < len; i += length) {
        length = text[i] & 0x80 ? sequence_length((const uint8_t *)text + i, len - i) : 1;
        if (length > len - i) {
            text[i] = '\0'; /* cut short */
            return;
        }
        if (length > 0)
            continue;
        text[i] = '?';
        length = 1;
    }
}

size_t utf8_length(struct slice text)
{
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++)
        length += ((uint8_t)text.data[i] & 0xc0) != 0x80;
    return length;
}
