#include "workers/engine/outbox/others.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/broker/topology.h"

enum { ASKED_MAX = 8192 /* a power of two */ };

/* One that another has taken the place of is asked about again. */
struct asked {
    struct uuid company;
    uint32_t key_hash;
    int64_t at_ms; /* 0: nothing is here */
};

struct others {
    int64_t until_ms; /* of THERE */
    struct asked asked[ASKED_MAX];
};

struct others *others_new(void)
{
    return xcalloc(1, sizeof(struct others));
}

void others_free(struct others *others)
{
    free(others);
}

/* FNV-1a. */
static uint32_t hash_of(struct slice key)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (uint8_t)key.data[i]) * 16777619U;
    return hash;
}

static size_t place_of(const struct uuid *company, uint32_t key_hash)
{
    return (topology_slot(company) ^ key_hash) & (ASKED_MAX - 1);
}

bool others_are_there(const struct others *others)
{
    return clock_monotonic_ms() < others->until_ms;
}

bool others_were_asked(const struct others *others, const struct uuid *company, struct slice key)
{
    uint32_t hash = hash_of(key);
    const struct asked *asked = &others->asked[place_of(company, hash)];
    return asked->at_ms > 0 && asked->key_hash == hash && uuid_equal(&asked->company, company) &&
           clock_monotonic_ms() < asked->at_ms + OTHERS_ASKED_MS;
}

void others_note_delivered(struct others *others)
{
    others->until_ms = clock_monotonic_ms() + OTHERS_FOR_MS;
}

void others_note_returned(struct others *others, const struct uuid *company, struct slice key,
                          int64_t sent_ms)
{
    uint32_t hash = hash_of(key);
    others->asked[place_of(company, hash)] = (struct asked){*company, hash, sent_ms};
}
