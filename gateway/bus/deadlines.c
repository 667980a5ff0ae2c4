#include "gateway/bus/deadlines.h"

#include "common/base/clock.h"

static int64_t tick_of(int64_t ms)
{
    return ms / DEADLINES_TICK_MS;
}

static struct deadline **slot_of(struct deadlines *deadlines, int64_t tick)
{
    return &deadlines->slots[tick & (DEADLINES_SLOTS - 1)];
}

static void insert(struct deadline **slot, struct deadline *deadline)
{
    deadline->next = *slot;
    if (deadline->next)
        deadline->next->link = &deadline->next;
    deadline->link = slot;
    *slot = deadline;
}

static void take_out(struct deadline *deadline)
{
    *deadline->link = deadline->next;
    if (deadline->next)
        deadline->next->link = deadline->link;
    deadline->link = NULL;
    deadline->next = NULL;
}

/* Calls the deadlines of one slot that are due. on_due may change the slot, so its entries are first moved to
 * a list of their own, from which deadline_clear can take them as well. */
static void sweep_slot(struct deadlines *deadlines, struct deadline **slot, int64_t now)
{
    struct deadline *list = *slot;
    *slot = NULL;
    if (list)
        list->link = &list;
    while (list) {
        struct deadline *deadline = list;
        take_out(deadline);
        if (deadline->due_ms > now) {
            insert(slot, deadline);
            continue;
        }
        deadlines->count--;
        deadlines->on_due(deadline);
    }
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct deadlines *deadlines = timer->data;
    int64_t now = clock_monotonic_ms();
    int64_t first = tick_of(deadlines->swept_ms), last = tick_of(now);
    if (last - first >= DEADLINES_SLOTS) /* the loop was held up: once around the wheel reaches every slot */
        first = last - DEADLINES_SLOTS + 1;
    deadlines->swept_ms = now;
    for (int64_t tick = first; tick <= last; tick++)
        sweep_slot(deadlines, slot_of(deadlines, tick), now);
    if (deadlines->count == 0)
        ev_timer_stop(loop, timer);
}

void deadlines_init(struct deadlines *deadlines, struct ev_loop *loop,
                    void (*on_due)(struct deadline *deadline))
{
    *deadlines = (struct deadlines){.loop = loop, .on_due = on_due};
    ev_timer_init(&deadlines->tick, on_tick, DEADLINES_TICK_MS / 1000.0, DEADLINES_TICK_MS / 1000.0);
    deadlines->tick.data = deadlines;
}

void deadlines_done(struct deadlines *deadlines)
{
    ev_timer_stop(deadlines->loop, &deadlines->tick);
}

void deadline_set(struct deadlines *deadlines, struct deadline *deadline, int64_t ms)
{
    deadline_clear(deadlines, deadline);
    if (!ev_is_active(&deadlines->tick)) {
        deadlines->swept_ms = clock_monotonic_ms();
        ev_timer_again(deadlines->loop, &deadlines->tick);
    }
    deadline->due_ms = clock_monotonic_ms() + ms;
    insert(slot_of(deadlines, tick_of(deadline->due_ms)), deadline);
    deadlines->count++;
}

void deadline_clear(struct deadlines *deadlines, struct deadline *deadline)
{
    if (!deadline->link)
        return;
    take_out(deadline);
    deadlines->count--;
}
