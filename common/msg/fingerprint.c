#include "common/msg/msg.h"

/* Takes eight octets a step: it multiplies, then folds the high half, which the multiplication mixes best,
 * into the low one. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* Little-endian on every machine, because the inbox keeps the result. */
static uint64_t word_at(const char *data, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)(uint8_t)data[i] << (8 * i);
    return word;
}

uint64_t msg_fingerprint(const struct slice *parts, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        const char *data = parts[i].data;
        size_t left = parts[i].len;
        hash = mix(hash, left); /* the place where one part ends and the next begins counts too */
        for (; left >= 8; data += 8, left -= 8)
            hash = mix(hash, word_at(data, 8));
        if (left)
            hash = mix(hash, word_at(data, left));
    }
    return mix(hash, count);
}
