#include "gateway/auth/refused.h"

static size_t set_of(uint64_t hash)
{
    return hash >> 32 & (REFUSED_SETS - 1);
}

const struct refused_token *refused_find(const struct refused_tokens *refused, uint64_t hash, size_t len,
                                         int64_t now_s)
{
    const struct refused_token *set = refused->table[set_of(hash)];
    for (size_t way = 0; way < REFUSED_WAYS; way++)
        if (set[way].hash == hash && set[way].len == len && now_s < set[way].until_s)
            return &set[way];
    return NULL;
}

void refused_add(struct refused_tokens *refused, uint64_t hash, size_t len, int64_t now_s, const char *why)
{
    size_t set = set_of(hash);
    size_t way = refused->next_way[set]++ % REFUSED_WAYS;
    refused->table[set][way] =
        (struct refused_token){.hash = hash, .len = len, .until_s = now_s + REFUSED_S, .why = why};
}
