#pragma once
/* Which pools may get parcels (common/broker/parcel.h): those of which every worker says that it reads them.
 *
 *   Workers announce themselves each second on the exchange `control`. Once this process has listened for
 *   PARCEL_READERS_LISTEN_MS, a pool may get parcels while a worker of it was heard lately that reads them, and none
 *   was heard lately that does not. In doubt commands travel one by one, which every version reads for ever.
 *
 * A worker of the version before announces itself before it takes partitions, so no parcel is sent from then on. What
 * parcels wait in the queues by then is read by the workers that hold them (deploy/operating.md says how to go back to
 * that version altogether). */

#include "common/base/slice.h"
#include "common/process/config.h"

enum { PARCEL_READERS_LISTEN_MS = 3000 };

struct parcel_readers;

struct parcel_readers *parcel_readers_new(const struct config *config);
void parcel_readers_free(struct parcel_readers *readers);

/* This process hears the workers, from now on or again. */
void parcel_readers_listen(struct parcel_readers *readers);
/* What a worker or a manager says under `key`, "member.<pool>". */
void parcel_readers_hear(struct parcel_readers *readers, struct slice key, struct slice body);
bool parcel_readers_are_all(const struct parcel_readers *readers, const char *pool);
