#include "gateway/bus/bindings.h"

#include "common/base/log.h"

/* ---- lists ---- */

static void list_clear(struct bindings_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_append(struct bindings_list *list, struct binding *binding)
{
    binding->next = NULL;
    *list->last = binding;
    list->last = &binding->next;
}

static struct binding *list_take(struct bindings_list *list)
{
    struct binding *binding = list->first;
    list->first = binding->next;
    if (!list->first)
        list->last = &list->first;
    return binding;
}

/* ---- one after the other ---- */

static bool is_as_wanted(const struct binding *binding)
{
    return binding->state == (binding->is_wanted ? BINDING_BOUND : BINDING_FREE);
}

static bool is_in_flight(const struct binding *binding)
{
    return binding->state == BINDING_BINDING || binding->state == BINDING_UNBINDING;
}

static void set_state(struct bindings *b, struct binding *binding, enum binding_state state)
{
    static const char *const names[] = {
        [BINDING_FREE] = "free",
        [BINDING_BINDING] = "binding",
        [BINDING_BOUND] = "bound",
        [BINDING_UNBINDING] = "unbinding",
    };
    log_debug("binding.state", LOG_S("exchange", b->options->exchange), LOG_S("from", names[binding->state]),
              LOG_S("to", names[state]));
    binding->state = state;
}

static void take_turns(struct bindings *b);

static void ask_for_turn(struct bindings *b, struct binding *binding)
{
    if (binding->is_waiting || is_in_flight(binding) || is_as_wanted(binding))
        return;
    binding->is_waiting = true;
    list_append(&b->waiting, binding);
    b->asked++;
}

static void pass_mark(struct bindings *b)
{
    void (*on_marked)(void *ctx) = b->on_marked;
    if (!on_marked || b->settled < b->mark)
        return;
    b->on_marked = NULL;
    on_marked(b->ctx);
}

static void end_turn(struct bindings *b, struct binding *binding)
{
    b->settled++;
    ask_for_turn(b, binding); /* it may have been wanted otherwise meanwhile */
    if (is_as_wanted(binding))
        b->options->on_settled(b->ctx, binding);
    pass_mark(b);
}

static void on_confirmed(void *arg)
{
    struct bindings *b = arg;
    struct binding *binding = list_take(&b->in_flight);
    b->in_flight_count--;
    set_state(b, binding, binding->state == BINDING_BINDING ? BINDING_BOUND : BINDING_FREE);
    end_turn(b, binding);
    take_turns(b);
}

static void declare(struct bindings *b, struct binding *binding)
{
    char key[BINDING_KEY_SIZE];
    b->options->write_key(b->ctx, binding, key);
    if (binding->is_wanted)
        broker_bind(b->broker, b->queue, b->options->exchange, key);
    else
        broker_unbind(b->broker, b->queue, b->options->exchange, key);
    set_state(b, binding, binding->is_wanted ? BINDING_BINDING : BINDING_UNBINDING);
    list_append(&b->in_flight, binding);
    b->in_flight_count++;
    broker_after_declarations(b->broker, on_confirmed, b);
}

static void take_turns(struct bindings *b)
{
    while (b->queue && b->waiting.first && b->in_flight_count < BINDINGS_IN_FLIGHT) {
        struct binding *binding = list_take(&b->waiting);
        binding->is_waiting = false;
        if (is_as_wanted(binding))
            end_turn(b, binding);
        else
            declare(b, binding);
    }
}

static void on_turn(void *arg)
{
    struct bindings *b = arg;
    take_turns(b);
    pass_mark(b);
}

/* ---- the outside ---- */

void bindings_init(struct bindings *b, const struct bindings_options *options, void *ctx)
{
    *b = (struct bindings){.options = options, .ctx = ctx};
    list_clear(&b->waiting);
    list_clear(&b->in_flight);
}

void bindings_up(struct bindings *b, struct broker *broker, const char *queue)
{
    b->broker = broker;
    b->queue = queue;
}

void bindings_down(struct bindings *b)
{
    list_clear(&b->waiting);
    list_clear(&b->in_flight);
    b->in_flight_count = 0;
    b->settled = b->asked;
    b->on_marked = NULL;
    b->queue = NULL;
}

void binding_forget(struct binding *binding)
{
    binding->state = BINDING_FREE;
    binding->is_waiting = false;
    binding->next = NULL;
}

void bindings_want(struct bindings *b, struct binding *binding, bool is_wanted)
{
    binding->is_wanted = is_wanted;
    if (!b->queue)
        return;
    bool was_idle = !b->waiting.first;
    ask_for_turn(b, binding);
    if (was_idle && b->waiting.first)
        broker_after_declarations(b->broker, on_turn, b);
}

void bindings_mark(struct bindings *b, void (*on_marked)(void *ctx))
{
    if (!b->queue)
        return;
    b->mark = b->asked;
    b->on_marked = on_marked;
    broker_after_declarations(b->broker, on_turn, b);
}
