#pragma once
/* Which companies have sent cheap queries lately: the last one, and the last one besides it. That is all it takes to
 * know whether a company has others beside it. */

#include "common/base/uuid.h"

/* A company that has not read for so long is no longer there. */
#define READERS_KEPT_S 2.0

struct readers {
    struct {
        struct uuid company;
        double at; /* 0: none has read */
    } last, other;
};

/* A copy into `ret_companies` of those that have read lately; returns how many. */
size_t readers_copy(const struct readers *readers, struct uuid ret_companies[2], double now);
void readers_note(struct readers *readers, const struct uuid *company, double now);
bool readers_has_other(const struct readers *readers, const struct uuid *company, double now);
