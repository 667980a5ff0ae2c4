#include "workers/intake.h"

#include <assert.h>

enum {
    BYTES_MAX = 1 << 20,
    SUSPICIOUS_DELIVERIES = 3,
};

struct list {
    struct job *first, **last;
    size_t count;
};

/* Command ids of the batch being put together, by open addressing: at most half full. */
struct ids {
    const struct job **slots;
    size_t size; /* a power of two */
};

struct intake {
    struct ev_loop *loop;
    struct list waiting;
    struct list resting;
    struct ids ids;
};

static void list_init(struct list *list)
{
    *list = (struct list){.last = &list->first};
}

static void list_append(struct list *list, struct job *job)
{
    job->next = NULL;
    *list->last = job;
    list->last = &job->next;
    list->count++;
}

static void list_prepend(struct list *list, struct job *job)
{
    job->next = list->first;
    list->first = job;
    if (!job->next)
        list->last = &job->next;
    list->count++;
}

/* Takes out the job that *at points to. */
static struct job *list_remove(struct list *list, struct job **at)
{
    struct job *job = *at;
    *at = job->next;
    if (!*at)
        list->last = at;
    list->count--;
    job->next = NULL;
    return job;
}

/* ---- resting ---- */

static void on_rest_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct job *job = CONTAINER_OF(timer, struct job, rest);
    struct intake *intake = timer->data;
    for (struct job **at = &intake->resting.first; *at; at = &(*at)->next)
        if (*at == job) {
            list_prepend(&intake->waiting, list_remove(&intake->resting, at));
            return;
        }
}

/* Doubles with every try, here and before. Who lost against a neighbour may try again soon; a server in
 * trouble is given time. */
static double rest_ms(const struct job *job)
{
    bool is_conflict = job->error == ERR_DATABASE_CONFLICT;
    double ms = is_conflict ? 20 : 250, max = is_conflict ? 200 : 10000;
    for (int64_t tries = job->attempts + job->delivery_count; tries > 1 && ms < max; tries--)
        ms *= 2;
    double jitter = 0.5 + (double)arc4random_uniform(1000) / 1000;
    return (ms < max ? ms : max) * jitter;
}

void intake_rest(struct intake *intake, struct job *job)
{
    ev_now_update(intake->loop);
    ev_timer_init(&job->rest, on_rest_over, rest_ms(job) / 1000, 0);
    job->rest.data = intake;
    ev_timer_start(intake->loop, &job->rest);
    list_append(&intake->resting, job);
}

/* ---- taking ---- */

static void ids_clear(struct ids *ids, size_t max)
{
    size_t size = 2;
    while (size < 2 * max)
        size *= 2;
    if (size > ids->size) {
        ids->slots = xrealloc(ids->slots, size * sizeof(struct job *));
        ids->size = size;
    }
    memset(ids->slots, 0, ids->size * sizeof(struct job *));
}

static bool is_same_command(const struct job *a, const struct job *b)
{
    return uuid_equal(&a->command.id, &b->command.id) && uuid_equal(&a->command.company, &b->command.company);
}

/* false when it is there already. The last octets of an id are its random ones. */
static bool ids_add(struct ids *ids, const struct job *job)
{
    size_t at;
    memcpy(&at, job->command.id.octet + sizeof(job->command.id.octet) - sizeof(at), sizeof(at));
    for (;; at++) {
        const struct job **slot = &ids->slots[at & (ids->size - 1)];
        if (!*slot) {
            *slot = job;
            return true;
        }
        if (is_same_command(*slot, job))
            return false;
    }
}

static bool is_suspicious(const struct job *job)
{
    return job->delivery_count >= SUSPICIOUS_DELIVERIES;
}

struct job *intake_take(struct intake *intake, size_t max)
{
    struct list taken;
    size_t bytes = 0;
    list_init(&taken);
    ids_clear(&intake->ids, max);
    for (struct job **at = &intake->waiting.first; *at && taken.count < max && bytes < BYTES_MAX;) {
        struct job *job = *at;
        if (taken.count > 0 && is_suspicious(job))
            break;
        if (!ids_add(&intake->ids, job)) {
            at = &job->next;
            continue;
        }
        bytes += job->command.body.len;
        list_append(&taken, list_remove(&intake->waiting, at));
        if (is_suspicious(job))
            break;
    }
    return taken.first;
}

/* ---- the outside ---- */

struct intake *intake_new(struct ev_loop *loop)
{
    struct intake *intake = xcalloc(1, sizeof(*intake));
    intake->loop = loop;
    list_init(&intake->waiting);
    list_init(&intake->resting);
    return intake;
}

void intake_add(struct intake *intake, struct job *job)
{
    list_append(&intake->waiting, job);
}

void intake_clear(struct intake *intake)
{
    while (intake->waiting.first)
        job_free(list_remove(&intake->waiting, &intake->waiting.first));
    while (intake->resting.first) {
        ev_timer_stop(intake->loop, &intake->resting.first->rest);
        job_free(list_remove(&intake->resting, &intake->resting.first));
    }
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    intake_clear(intake);
    free(intake->ids.slots);
    free(intake);
}

size_t intake_waiting(const struct intake *intake)
{
    return intake->waiting.count;
}

size_t intake_resting(const struct intake *intake)
{
    return intake->resting.count;
}
