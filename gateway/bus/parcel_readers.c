#include "gateway/bus/parcel_readers.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/broker/topology.h"

enum { JSON_DEPTH_MAX = 4, POOLS_MAX = 64, LATELY_MIN_MS = 4000 };

/* The moments until when a worker counts as heard lately; 0: none was heard. */
struct heard {
    int64_t reader_until_ms, other_until_ms;
};

struct parcel_readers {
    const struct config *config;
    int64_t known_from_ms; /* by then every worker was heard; 0: nobody is heard yet */
    struct heard pools[POOLS_MAX];
};

struct parcel_readers *parcel_readers_new(const struct config *config)
{
    struct parcel_readers *readers = xcalloc(1, sizeof(*readers));
    readers->config = config;
    return readers;
}

void parcel_readers_free(struct parcel_readers *readers)
{
    free(readers);
}

void parcel_readers_listen(struct parcel_readers *readers)
{
    readers->known_from_ms = clock_monotonic_ms() + PARCEL_READERS_LISTEN_MS;
}

static size_t index_of(struct slice pool)
{
    size_t i = 0;
    while (i < POOLS_MAX && topology_pool_at(i) && !slice_is(pool, topology_pool_at(i)))
        i++;
    return topology_pool_at(i) ? i : POOLS_MAX;
}

/* The others take over from a worker that was silent for member_silent_ms. It may be mistaken about that for as long
 * again. */
static int64_t lately_ms(const struct parcel_readers *readers)
{
    int64_t ms = 2 * readers->config->member_silent_ms;
    return ms > LATELY_MIN_MS ? ms : LATELY_MIN_MS;
}

/* A manager says of a worker that it has died; that has no id. */
void parcel_readers_hear(struct parcel_readers *readers, struct slice key, struct slice body)
{
    static const struct slice prefix = {"member.", 7};
    char why[160];
    json_t *said = NULL;
    if (key.len < prefix.len)
        return;
    size_t pool = index_of((struct slice){key.data + prefix.len, key.len - prefix.len});
    if (pool == POOLS_MAX || json_parse(body, JSON_DEPTH_MAX, &said, why) != ERR_OK)
        return;
    struct heard *heard = &readers->pools[pool];
    int64_t until_ms = clock_monotonic_ms() + lately_ms(readers);
    if (json_object_get(said, "id") && json_is_true(json_object_get(said, "parcels")))
        heard->reader_until_ms = until_ms;
    else if (json_object_get(said, "id"))
        heard->other_until_ms = until_ms;
    json_decref(said);
}

bool parcel_readers_are_all(const struct parcel_readers *readers, const char *pool)
{
    size_t i = index_of(slice_of(pool));
    int64_t now = clock_monotonic_ms();
    return readers->config->parcels && i < POOLS_MAX && readers->known_from_ms &&
           now >= readers->known_from_ms && now < readers->pools[i].reader_until_ms &&
           now >= readers->pools[i].other_until_ms;
}
