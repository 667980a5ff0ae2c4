#pragma once
/* Whether consumers that are no gateways have bound on `events.slots`, by what became of the events that were sent
 * there.
 *
 *   UNKNOWN ── one was delivered ──▶ THERE ── none for OTHERS_FOR_MS ──▶ UNKNOWN
 *
 * In UNKNOWN the first event of each company and type in a parcel is sent there, and asks with that. A parcel of more
 * than OTHERS_KEYS of them does not ask again for OTHERS_ASKED_MS about one that nobody had bound: so a consumer that
 * binds while many companies are busy may hear of one of them that much later. */

#include "common/base/slice.h"
#include "common/base/uuid.h"

enum { OTHERS_FOR_MS = 5000, OTHERS_ASKED_MS = 1000, OTHERS_KEYS = 8 };

struct others;

struct others *others_new(void);
void others_free(struct others *others);

bool others_are_there(const struct others *others); /* THERE */
/* Nobody had bound for events of this company and key, OTHERS_ASKED_MS ago at most. */
bool others_were_asked(const struct others *others, const struct uuid *company, struct slice key);

void others_note_delivered(struct others *others);
/* An event that was sent at `sent_ms` was returned. */
void others_note_returned(struct others *others, const struct uuid *company, struct slice key,
                          int64_t sent_ms);
