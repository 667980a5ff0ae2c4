#pragma once
/* What a worker knows of the others of its pool: who they are, and what they hold. No I/O; the caller gives
 * the time.
 *
 * A worker is gone when its manager says so, or when it was silent for too long. What a living worker holds
 * is its own until it says otherwise, whoever it is meant for.
 *
 * A worker that does not read parcels (common/broker/parcel.h) would reject those that it meets. So nothing is meant
 * for it while parcels may wait in the queues, which is for MEMBERS_PARCELS_MS after a worker has last said that it
 * gets any. It does not know that, and waits for what it takes for its share. */

#include "workers/fleet/members/assignment.h"
#include "workers/fleet/members/wire.h"

enum {
    MEMBERS_MAX = ASSIGNMENT_WORKERS_MAX - 1, /* others; more than that are not counted */
    MEMBERS_PARCELS_MS = 60000,
};

struct member {
    struct member_announcement said; /* the last announcement */
    int64_t heard_ms;
};

struct members_view {
    struct uuid self;
    struct member others[MEMBERS_MAX];
    size_t count;
    int64_t parcels_until_ms; /* until then parcels may wait; 0: nobody has had any */
};

/* The announcement of another worker. True when it is the first of that worker. */
bool members_view_hear(struct members_view *view, const struct member_announcement *said, int64_t now_ms);
/* The worker of that process is dead. Does nothing when the worker is not known. */
void members_view_remove(struct members_view *view, const struct member_death *death);
/* Drops the workers that were silent for longer than silent_ms. */
void members_view_expire(struct members_view *view, int64_t silent_ms, int64_t now_ms);
/* After a time in which no worker could be heard: silence counts from now. */
void members_view_thaw(struct members_view *view, int64_t now_ms);

/* A worker, or this one, gets parcels. */
void members_view_note_parcels(struct members_view *view, int64_t now_ms);

/* Sets of partitions, bit by bit: those meant for self, as one of the workers that are able; those that
 * others hold. */
uint64_t members_view_ours(const struct members_view *view, unsigned partitions, int64_t now_ms);
uint64_t members_view_held(const struct members_view *view);
