#pragma once
/* What a worker knows of the others of its pool: who they are, and what they hold. No I/O; the time is given.
 *
 * One is gone when its manager says so, or when it was silent for too long. What those hold that live is
 * theirs until they say otherwise, whoever it is meant for. */

#include "workers/fleet/members/assignment.h"
#include "workers/fleet/members/wire.h"

enum { MEMBERS_MAX = ASSIGNMENT_WORKERS_MAX - 1 }; /* others; beyond it they are not counted */

struct member {
    struct member_announcement said; /* its last word */
    int64_t heard_ms;
};

struct members_view {
    struct uuid self;
    struct member others[MEMBERS_MAX];
    size_t count;
};

/* Somebody else's announcement. True when it is the first that is heard of it. */
bool members_view_hear(struct members_view *view, const struct member_announcement *said, int64_t now_ms);
/* The worker of that process is dead; of one that is not known nothing happens. */
void members_view_bury(struct members_view *view, const struct member_death *death);
/* Drops who was silent for longer than silent_ms. */
void members_view_expire(struct members_view *view, int64_t silent_ms, int64_t now_ms);
/* After a time in which nobody could be heard: silence counts from now. */
void members_view_thaw(struct members_view *view, int64_t now_ms);

/* Sets of partitions, bit by bit: what is meant for self, if it is among those that work; what others
 * hold. */
uint64_t members_view_ours(const struct members_view *view, unsigned partitions);
uint64_t members_view_held(const struct members_view *view);
