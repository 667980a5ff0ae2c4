#include "common/db/readers.h"

void readers_note(struct readers *readers, const struct uuid *company, double now)
{
    if (!uuid_equal(&readers->last.company, company)) {
        readers->other = readers->last;
        readers->last.company = *company;
    }
    readers->last.at = now;
}

bool readers_has_other(const struct readers *readers, const struct uuid *company, double now)
{
    double at = uuid_equal(&readers->last.company, company) ? readers->other.at : readers->last.at;
    return at > 0 && now - at < READERS_KEPT_S;
}

size_t readers_copy(const struct readers *readers, struct uuid ret_companies[2], double now)
{
    size_t count = 0;
    if (readers->last.at > 0 && now - readers->last.at < READERS_KEPT_S)
        ret_companies[count++] = readers->last.company;
    if (readers->other.at > 0 && now - readers->other.at < READERS_KEPT_S)
        ret_companies[count++] = readers->other.company;
    return count;
}
