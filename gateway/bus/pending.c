#include "gateway/bus/pending.h"

#include <inttypes.h>
#include <stdio.h>

#include "gateway/http/call.h"

void pending_table_init(struct pending_table *table, struct ev_loop *loop, size_t max,
                        void (*on_due)(struct deadline *deadline))
{
    *table = (struct pending_table){.bucket_count = 64};
    while (table->bucket_count < max)
        table->bucket_count *= 2;
    table->buckets = xcalloc(table->bucket_count, sizeof(struct pending *));
    struct uuid random = uuid_v7();
    uint64_t prefix;
    memcpy(&prefix, random.octet + 8, sizeof(prefix)); /* the random half */
    snprintf(table->prefix, sizeof(table->prefix), "%016" PRIx64, prefix);
    deadlines_init(&table->deadlines, loop, on_due);
}

void pending_table_done(struct pending_table *table)
{
    deadlines_done(&table->deadlines);
    free(table->buckets);
}

static struct pending **bucket_of(const struct pending_table *table, uint64_t number)
{
    return &table->buckets[number & (table->bucket_count - 1)];
}

struct pending *pending_add(struct pending_table *table, struct call *call)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));
    pending->number = ++table->last_number;
    pending->call = call;
    struct pending **bucket = bucket_of(table, pending->number);
    pending->next = *bucket;
    *bucket = pending;
    table->count++;
    return pending;
}

void pending_correlation(const struct pending_table *table, const struct pending *pending,
                         char text[PENDING_CORRELATION_SIZE])
{
    snprintf(text, PENDING_CORRELATION_SIZE, "%s.%" PRIu64 ".%s", table->prefix, pending->number,
             pending->call->correlation_id);
}

/* The number in "<prefix>.<number>."; 0 when the correlation id is not of this process. */
static uint64_t number_in(const struct pending_table *table, struct slice correlation)
{
    size_t at = sizeof(table->prefix) - 1;
    uint64_t number = 0;
    if (correlation.len <= at || memcmp(correlation.data, table->prefix, at) != 0 ||
        correlation.data[at] != '.')
        return 0;
    for (at++; at < correlation.len && correlation.data[at] != '.'; at++) {
        unsigned int digit = (unsigned int)(correlation.data[at] - '0');
        if (digit > 9 || number > UINT64_MAX / 10 - 1)
            return 0;
        number = number * 10 + digit;
    }
    return at < correlation.len ? number : 0;
}

struct pending *pending_find(const struct pending_table *table, struct slice correlation)
{
    uint64_t number = number_in(table, correlation);
    struct pending *pending = *bucket_of(table, number);
    while (pending && pending->number != number)
        pending = pending->next;
    return pending;
}

void pending_each(const struct pending_table *table, void (*visit)(struct pending *pending))
{
    for (size_t i = 0; i < table->bucket_count; i++)
        for (struct pending *pending = table->buckets[i]; pending; pending = pending->next)
            visit(pending);
}

bool pending_is_of(const struct pending_table *table, struct slice correlation)
{
    return number_in(table, correlation) != 0;
}

struct call *pending_let_go(struct pending_table *table, struct pending *pending)
{
    struct pending **at = bucket_of(table, pending->number);
    while (*at != pending)
        at = &(*at)->next;
    *at = pending->next;
    table->count--;
    deadline_clear(&table->deadlines, &pending->deadline);
    return TAKE(pending->call);
}

void pending_release(struct pending *pending)
{
    if (!pending->call && !pending->in_flight && !pending->asking && !pending->explaining)
        free(pending);
}
