#include "workers/fleet/manager/load.h"

#include "common/base/clock.h"
#include "common/base/log.h"

struct queue {
    struct manager_load *load;
    uint32_t ready;
    int64_t unconsumed_ms; /* since when it has no consumer; 0: it has one */
    bool is_told;          /* the log says that it has none */
};

struct manager_load {
    const char *pool;
    int64_t silent_ms;
    unsigned partitions, unanswered;
    struct queue queues[TOPOLOGY_PARTITIONS_MAX];
    struct members_view workers; /* a manager is none of them: self stays zero */
};

struct manager_load *manager_load_new(const struct config *config, const char *pool)
{
    struct manager_load *load = xcalloc(1, sizeof(*load));
    load->pool = pool;
    load->silent_ms = config->member_silent_ms;
    load->partitions = (unsigned)config->partitions;
    for (unsigned i = 0; i < load->partitions; i++)
        load->queues[i].load = load;
    return load;
}

void manager_load_free(struct manager_load *load)
{
    free(load);
}

/* ---- the queues ---- */

static void on_seen(void *arg, uint32_t waiting, uint32_t consumers)
{
    struct queue *queue = arg;
    queue->ready = waiting;
    if (consumers > 0)
        queue->unconsumed_ms = 0;
    else if (queue->unconsumed_ms == 0)
        queue->unconsumed_ms = clock_monotonic_ms();
    queue->load->unanswered--;
}

void manager_load_ask(struct manager_load *load, struct broker *broker)
{
    char name[TOPOLOGY_NAME_SIZE];
    if (load->unanswered > 0)
        return;
    for (unsigned i = 0; i < load->partitions; i++) {
        topology_command_queue(load->pool, i, name, sizeof(name));
        broker_look_at_queue(broker, name, on_seen, &load->queues[i]);
    }
    load->unanswered = load->partitions;
}

void manager_load_down(struct manager_load *load)
{
    load->unanswered = 0;
    for (unsigned i = 0; i < load->partitions; i++)
        load->queues[i].unconsumed_ms = 0;
}

bool manager_load_queue(const struct manager_load *load, unsigned partition, int64_t now_ms,
                        struct manager_queue *ret_queue)
{
    if (partition >= load->partitions)
        return false;
    const struct queue *queue = &load->queues[partition];
    ret_queue->ready = queue->ready;
    ret_queue->is_unconsumed =
        queue->unconsumed_ms && now_ms - queue->unconsumed_ms >= PROBLEMS_UNCONSUMED_MS;
    topology_command_queue(load->pool, partition, ret_queue->name, sizeof(ret_queue->name));
    return true;
}

/* What the broker counts are messages. A queue's consumer says how many commands they bring. */
static int64_t commands_waiting(const struct manager_load *load, unsigned partition)
{
    enum { PERCENT = 100 };
    int64_t messages = load->queues[partition].ready;
    for (size_t i = 0; i < load->workers.count; i++) {
        const struct member_report *report = &load->workers.others[i].said.report;
        if (report->holding >> partition & 1 && report->percent_a_delivery > PERCENT)
            return messages * report->percent_a_delivery / PERCENT;
    }
    return messages;
}

void manager_load_watch(struct manager_load *load, int64_t now_ms)
{
    struct manager_queue queue;
    for (unsigned i = 0; manager_load_queue(load, i, now_ms, &queue); i++) {
        if (queue.is_unconsumed && !load->queues[i].is_told)
            log_error("queue.unconsumed", LOG_S("queue", queue.name), LOG_I("waiting", queue.ready));
        else if (!queue.is_unconsumed && load->queues[i].is_told)
            log_info("queue.consumed", LOG_S("queue", queue.name));
        load->queues[i].is_told = queue.is_unconsumed;
    }
}

/* ---- the workers ---- */

bool manager_load_hear(struct manager_load *load, struct slice body, int64_t now_ms)
{
    struct member_announcement said;
    struct member_death death;
    enum member_message message = member_read(body, &said, &death);
    if (message == MEMBER_ANNOUNCES)
        members_view_hear(&load->workers, &said, now_ms);
    else if (message == MEMBER_DIED)
        members_view_remove(&load->workers, &death);
    return message != MEMBER_UNREADABLE;
}

void manager_load_expire(struct manager_load *load, int64_t now_ms)
{
    members_view_expire(&load->workers, load->silent_ms, now_ms);
}

void manager_load_thaw(struct manager_load *load, int64_t now_ms)
{
    members_view_thaw(&load->workers, now_ms);
}

/* ---- all of it ---- */

static void add_worker(struct manager_load_sum *sum, const struct member_report *report)
{
    sum->open += (int64_t)report->open;
    sum->parked += (int64_t)report->parked;
    sum->is_troubled = sum->is_troubled || report->is_troubled;
    if (report->oldest_ms > sum->oldest_ms)
        sum->oldest_ms = report->oldest_ms;
}

struct manager_load_sum manager_load_sum(const struct manager_load *load)
{
    struct manager_load_sum sum = {0};
    for (unsigned i = 0; i < load->partitions; i++)
        sum.ready += commands_waiting(load, i);
    for (size_t i = 0; i < load->workers.count; i++)
        add_worker(&sum, &load->workers.others[i].said.report);
    return sum;
}

const struct member_report *manager_load_of(const struct manager_load *load, const char *host, pid_t pid)
{
    for (size_t i = 0; i < load->workers.count; i++) {
        const struct member_announcement *said = &load->workers.others[i].said;
        if (said->pid == pid && strcmp(said->host, host) == 0)
            return &said->report;
    }
    return NULL;
}

const struct member_announcement *manager_load_worker(const struct manager_load *load, size_t i)
{
    return i < load->workers.count ? &load->workers.others[i].said : NULL;
}
