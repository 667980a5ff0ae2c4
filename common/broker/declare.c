#include "common/broker/private.h"

/* Methods are sent without waiting for the answer to the one before. The server answers in order, except
 * basic.consume and basic.cancel: their answers come by way of the queue, and the answers to later methods
 * may overtake them. */

static void push(struct broker *b, struct broker_declaration declaration)
{
    struct broker_declarations *d = &b->declarations;
    if (d->end == d->capacity) {
        d->capacity = d->capacity ? d->capacity * 2 : 16;
        d->items = xrealloc(d->items, d->capacity * sizeof(*d->items));
    }
    d->items[d->end++] = declaration;
}

static void ask(struct broker *b, amqp_method_number_t id, void *method, amqp_method_number_t answer)
{
    broker_output_method(b, CHANNEL, id, method);
    push(b, (struct broker_declaration){.answer = answer});
}

/* A callback may declare more, and so move the items. */
void broker_declarations_run_markers(struct broker *b)
{
    struct broker_declarations *d = &b->declarations;
    while (d->begin < d->end && d->items[d->begin].is_answered) {
        struct broker_declaration answered = d->items[d->begin++];
        free(answered.consumer);
        free(answered.queue);
        if (answered.on_done)
            answered.on_done(answered.arg);
        if (answered.on_seen)
            answered.on_seen(answered.arg, answered.messages, answered.consumers);
    }
    if (d->begin == d->end)
        d->begin = d->end = 0;
}

static bool is_answer_to(const struct broker_declaration *asked, const struct broker_answer *answer)
{
    return asked->answer == answer->id && (!asked->consumer || slice_is(answer->consumer, asked->consumer));
}

static struct broker_declaration *find_asked(struct broker_declarations *d,
                                             const struct broker_answer *answer)
{
    for (size_t i = d->begin; i < d->end; i++) {
        struct broker_declaration *asked = &d->items[i];
        if (asked->is_answered)
            continue;
        if (is_answer_to(asked, answer))
            return asked;
        if (!asked->consumer)
            return NULL;
    }
    return NULL;
}

/* ---- consumers ---- */

static struct broker_consumer *find_consumer(const struct broker *b, struct slice tag)
{
    for (size_t i = 0; i < b->consumer_count; i++)
        if (slice_is(tag, b->consumers[i].tag))
            return &b->consumers[i];
    return NULL;
}

bool broker_has_consumer(const struct broker *b, struct slice tag)
{
    return find_consumer(b, tag) != NULL;
}

static void add_consumer(struct broker *b, const char *tag)
{
    b->consumers = xrealloc(b->consumers, (b->consumer_count + 1) * sizeof(*b->consumers));
    b->consumers[b->consumer_count++] = (struct broker_consumer){.tag = xstrdup(tag)};
}

static void remove_consumer(struct broker *b, struct broker_consumer *consumer)
{
    free(consumer->tag);
    *consumer = b->consumers[--b->consumer_count];
}

static void forget_consumers(struct broker *b)
{
    while (b->consumer_count > 0)
        remove_consumer(b, b->consumers);
    free(TAKE(b->consumers));
}

/* Runs only after the answer to basic.consume: the channel of RabbitMQ 3.10 crashes when the queue confirms a
 * consumer that was cancelled meanwhile. */
static void ask_for_end(struct broker *b, const struct broker_consumer *consumer)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(consumer->tag)};
    broker_output_method(b, CHANNEL, AMQP_BASIC_CANCEL_METHOD, &cancel);
    push(b, (struct broker_declaration){
                .answer = AMQP_BASIC_CANCEL_OK_METHOD,
                .consumer = xstrdup(consumer->tag),
                .on_done = consumer->on_cancelled,
                .arg = consumer->arg,
            });
}

static void consumer_answered(struct broker *b, const struct broker_answer *answer)
{
    struct broker_consumer *consumer = find_consumer(b, answer->consumer);
    if (answer->id == AMQP_BASIC_CANCEL_OK_METHOD) {
        remove_consumer(b, consumer);
        return;
    }
    consumer->is_answered = true;
    if (consumer->is_ending)
        ask_for_end(b, consumer);
}

/* ---- answers ---- */

void broker_declarations_answered(struct broker *b, const struct broker_answer *answer)
{
    struct broker_declaration *asked = find_asked(&b->declarations, answer);
    if (!asked) {
        broker_fail(b, "the server sent %s, which answers nothing", amqp_method_name(answer->id));
        return;
    }
    asked->is_answered = true;
    asked->messages = answer->messages;
    asked->consumers = answer->queue_consumers;
    if (asked->consumer)
        consumer_answered(b, answer);
    broker_declarations_run_markers(b);
}

void broker_declarations_clear(struct broker *b)
{
    for (size_t i = b->declarations.begin; i < b->declarations.end; i++) {
        free(b->declarations.items[i].consumer);
        free(b->declarations.items[i].queue);
    }
    free(b->declarations.items);
    b->declarations = (struct broker_declarations){0};
    forget_consumers(b);
}

/* ---- queues that keep their limits ---- */

static const struct broker_declaration *first_unanswered(const struct broker_declarations *d)
{
    for (size_t i = d->begin; i < d->end; i++)
        if (!d->items[i].is_answered && !d->items[i].consumer)
            return &d->items[i];
    return NULL;
}

bool broker_declarations_refused(struct broker *b, const amqp_channel_close_t *close)
{
    const struct broker_declaration *refused = first_unanswered(&b->declarations);
    amqp_method_number_t method = (amqp_method_number_t)close->class_id << 16 | close->method_id;
    if (method != AMQP_QUEUE_DECLARE_METHOD || !refused || !refused->queue)
        return false;
    return broker_kept_refused(b, refused->queue, close->reply_code, slice_of_amqp(close->reply_text));
}

/* ---- declaring ---- */

void broker_declare_exchange(struct broker *b, const char *exchange, enum broker_exchange_kind kind)
{
    static const char *const kinds[] = {
        [BROKER_TOPIC] = "topic",
        [BROKER_FANOUT] = "fanout",
        [BROKER_DIRECT] = "direct",
    };
    if (!broker_has_channel(b))
        return;
    amqp_exchange_declare_t declare = {
        .exchange = amqp_cstring_bytes(exchange),
        .type = amqp_cstring_bytes(kinds[kind]),
        .durable = 1,
    };
    ask(b, AMQP_EXCHANGE_DECLARE_METHOD, &declare, AMQP_EXCHANGE_DECLARE_OK_METHOD);
}

static amqp_field_value_t argument_value(const struct broker_header *argument)
{
    if (argument->is_boolean)
        return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1};
    if (argument->is_integer)
        return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I64, .value.i64 = argument->integer};
    return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_bytes_of(argument->text)};
}

void broker_declare_queue(struct broker *b, const struct broker_queue *queue)
{
    if (!broker_has_channel(b))
        return;
    struct broker_header adapted[BROKER_HEADERS_MAX];
    amqp_table_entry_t arguments[BROKER_HEADERS_MAX];
    bool is_passive;
    size_t count = broker_kept_arguments(b, queue, adapted, &is_passive);
    for (size_t i = 0; i < count; i++)
        arguments[i] = (amqp_table_entry_t){
            .key = amqp_bytes_of(adapted[i].name),
            .value = argument_value(&adapted[i]),
        };
    amqp_queue_declare_t declare = {
        .queue = amqp_cstring_bytes(queue->name),
        .passive = is_passive,
        .durable = queue->durable,
        .exclusive = queue->exclusive,
        .auto_delete = queue->auto_delete,
        .arguments = {(int)count, arguments},
    };
    broker_output_method(b, CHANNEL, AMQP_QUEUE_DECLARE_METHOD, &declare);
    push(b, (struct broker_declaration){
                .answer = AMQP_QUEUE_DECLARE_OK_METHOD,
                .queue = queue->keeps_limits ? xstrdup(queue->name) : NULL,
            });
}

void broker_look_at_queue(struct broker *b, const char *queue, broker_on_seen *on_seen, void *arg)
{
    if (!broker_has_channel(b))
        return;
    amqp_queue_declare_t look = {.queue = amqp_cstring_bytes(queue), .passive = 1};
    broker_output_method(b, CHANNEL, AMQP_QUEUE_DECLARE_METHOD, &look);
    push(b,
         (struct broker_declaration){.answer = AMQP_QUEUE_DECLARE_OK_METHOD, .on_seen = on_seen, .arg = arg});
}

void broker_bind(struct broker *b, const char *queue, const char *exchange, const char *routing_key)
{
    if (!broker_has_channel(b))
        return;
    amqp_queue_bind_t bind = {
        .queue = amqp_cstring_bytes(queue),
        .exchange = amqp_cstring_bytes(exchange),
        .routing_key = amqp_cstring_bytes(routing_key),
    };
    ask(b, AMQP_QUEUE_BIND_METHOD, &bind, AMQP_QUEUE_BIND_OK_METHOD);
}

void broker_unbind(struct broker *b, const char *queue, const char *exchange, const char *routing_key)
{
    if (!broker_has_channel(b))
        return;
    amqp_queue_unbind_t unbind = {
        .queue = amqp_cstring_bytes(queue),
        .exchange = amqp_cstring_bytes(exchange),
        .routing_key = amqp_cstring_bytes(routing_key),
    };
    ask(b, AMQP_QUEUE_UNBIND_METHOD, &unbind, AMQP_QUEUE_UNBIND_OK_METHOD);
}

void broker_bind_exchange(struct broker *b, const char *destination, const char *source,
                          const char *routing_key)
{
    if (!broker_has_channel(b))
        return;
    amqp_exchange_bind_t bind = {
        .destination = amqp_cstring_bytes(destination),
        .source = amqp_cstring_bytes(source),
        .routing_key = amqp_cstring_bytes(routing_key),
    };
    ask(b, AMQP_EXCHANGE_BIND_METHOD, &bind, AMQP_EXCHANGE_BIND_OK_METHOD);
}

void broker_consume(struct broker *b, const char *queue, const char *consumer_tag, uint16_t prefetch,
                    bool no_ack, bool exclusive)
{
    if (!broker_has_channel(b))
        return;
    add_consumer(b, consumer_tag);
    amqp_basic_qos_t qos = {.prefetch_count = prefetch}; /* holds for consumers that begin after it */
    ask(b, AMQP_BASIC_QOS_METHOD, &qos, AMQP_BASIC_QOS_OK_METHOD);
    amqp_basic_consume_t consume = {
        .queue = amqp_cstring_bytes(queue),
        .consumer_tag = amqp_cstring_bytes(consumer_tag),
        .no_ack = no_ack,
        .exclusive = exclusive,
    };
    broker_output_method(b, CHANNEL, AMQP_BASIC_CONSUME_METHOD, &consume);
    push(b, (struct broker_declaration){
                .answer = AMQP_BASIC_CONSUME_OK_METHOD,
                .consumer = xstrdup(consumer_tag),
            });
}

void broker_cancel(struct broker *b, const char *consumer_tag, void (*on_cancelled)(void *arg), void *arg)
{
    struct broker_consumer *consumer = find_consumer(b, slice_of(consumer_tag));
    if (!consumer || consumer->is_ending)
        return;
    consumer->is_ending = true;
    consumer->on_cancelled = on_cancelled;
    consumer->arg = arg;
    if (consumer->is_answered)
        ask_for_end(b, consumer);
}

void broker_after_declarations(struct broker *b, void (*on_done)(void *arg), void *arg)
{
    if (broker_has_channel(b))
        push(b, (struct broker_declaration){.is_answered = true, .on_done = on_done, .arg = arg});
}
