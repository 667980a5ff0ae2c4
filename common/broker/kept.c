#include "common/broker/private.h"

#include <stdio.h>

/* A queue that exists with other limits than those declared is used as it is: it is declared passively from then
 * on. A broker that only looks (keeps_shapes) wants to know whether such a queue differs in more than its limits.
 * RabbitMQ names one difference at a time, so the queue is declared again with the limit that it has, until it is
 * accepted or something else differs. */

/* "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue …": any other difference is another kind
 * of queue. */
static const char *const limits[BROKER_LIMITS] = {"x-max-length", "x-max-length-bytes", "x-delivery-limit",
                                                  "x-message-ttl", "x-expires"};

static bool mentions(const char *text, const char *argument)
{
    char words[64];
    snprintf(words, sizeof(words), "inequivalent arg '%s'", argument);
    return strstr(text, words) != NULL;
}

/* The index of the limit that differs, or BROKER_LIMITS. */
static size_t limit_in(const char *difference)
{
    size_t i = 0;
    while (i < BROKER_LIMITS && !mentions(difference, limits[i]))
        i++;
    return i;
}

/* "… but current is '5'", "… the value '5' of type 'long'", or "… none". */
static struct broker_known_limit current_in(const char *difference)
{
    struct broker_known_limit known = {.is_known = true};
    const char *current = strstr(difference, "current is ");
    const char *digit = current ? strpbrk(current, "0123456789") : NULL;
    known.is_set = digit != NULL;
    known.value = digit ? strtoll(digit, NULL, 10) : 0;
    return known;
}

static struct broker_kept_queue *find(const struct broker *b, const char *queue)
{
    for (size_t i = 0; i < b->kept_count; i++)
        if (strcmp(b->kept[i].name, queue) == 0)
            return &b->kept[i];
    return NULL;
}

const char *broker_queue_difference(const struct broker *b, const char *queue)
{
    const struct broker_kept_queue *kept = find(b, queue);
    return kept ? kept->difference : NULL;
}

size_t broker_differing_queues(const struct broker *b, const char **ret_example)
{
    *ret_example = b->kept_count > 0 ? b->kept[0].difference : NULL;
    return b->kept_count;
}

const char *broker_differing_shape(const struct broker *b, size_t i)
{
    const char *difference = b->kept[i].difference;
    return limit_in(difference) < BROKER_LIMITS ? NULL : difference;
}

static void keep_no_longer(struct broker *b, struct broker_kept_queue *kept)
{
    free(kept->name);
    free(kept->difference);
    *kept = b->kept[--b->kept_count];
}

/* Takes the text. */
static void keep(struct broker *b, const char *queue, char *difference)
{
    struct broker_kept_queue *kept = find(b, queue);
    if (!kept) {
        b->kept = xrealloc(b->kept, (b->kept_count + 1) * sizeof(*b->kept));
        kept = &b->kept[b->kept_count++];
        *kept = (struct broker_kept_queue){.name = xstrdup(queue)};
    }
    free(kept->difference);
    kept->difference = difference;
    size_t limit = limit_in(difference);
    kept->is_adapted = b->keeps_shapes && limit < BROKER_LIMITS && !kept->known[limit].is_known;
    if (kept->is_adapted)
        kept->known[limit] = current_in(difference);
}

static char *text_of(struct slice s)
{
    char *text = xcalloc(1, s.len + 1);
    memcpy(text, s.data, s.len);
    return text;
}

bool broker_kept_refused(struct broker *b, const char *queue, int code, struct slice text)
{
    struct broker_kept_queue *kept = find(b, queue);
    if (code == AMQP_NOT_FOUND && kept) {
        keep_no_longer(b, kept);
        return true;
    }
    if (code != AMQP_PRECONDITION_FAILED || (kept && !kept->is_adapted))
        return false;
    char *difference = text_of(text);
    bool is_kept = b->keeps_shapes || limit_in(difference) < BROKER_LIMITS;
    if (is_kept)
        keep(b, queue, difference);
    else
        free(difference);
    return is_kept;
}

static bool is_known(const struct broker_kept_queue *kept, struct slice argument)
{
    for (size_t i = 0; i < BROKER_LIMITS; i++)
        if (kept->known[i].is_known && slice_is(argument, limits[i]))
            return true;
    return false;
}

size_t broker_kept_arguments(const struct broker *b, const struct broker_queue *queue,
                             struct broker_header arguments[BROKER_HEADERS_MAX], bool *ret_passive)
{
    static const struct broker_kept_queue none;
    const struct broker_kept_queue *kept = find(b, queue->name);
    size_t count = 0;
    *ret_passive = kept && !kept->is_adapted;
    if (!kept)
        kept = &none;
    for (size_t i = 0; i < queue->argument_count && count < BROKER_HEADERS_MAX; i++)
        if (!is_known(kept, queue->arguments[i].name))
            arguments[count++] = queue->arguments[i];
    for (size_t i = 0; i < BROKER_LIMITS && count < BROKER_HEADERS_MAX; i++)
        if (kept->known[i].is_set)
            arguments[count++] = (struct broker_header){
                .name = slice_of(limits[i]), .is_integer = true, .integer = kept->known[i].value};
    return count;
}

void broker_kept_done(struct broker *b)
{
    while (b->kept_count > 0)
        keep_no_longer(b, b->kept);
    free(TAKE(b->kept));
}
