#include "workers/engine/resource/plan.h"

#include <assert.h>
#include <string.h>

enum { COMPUTED_MAX = 32 };

/* Everything in one piece of memory; the texts are those of the schema and of the written plan. */
struct whole {
    struct resource_plan plan;
    struct resource_rule rules[RESOURCE_RULES_MAX + 1];
    struct resource_column computed[COMPUTED_MAX + 1];
    struct resource_number number;
};

static unsigned bit_of(enum resource_verb verb)
{
    static const enum msg_verb verbs[] = {
        [RESOURCE_CREATE] = MSG_VERB_CREATE,
        [RESOURCE_UPDATE] = MSG_VERB_UPDATE,
        [RESOURCE_DELETE] = MSG_VERB_DELETE,
    };
    return 1u << verbs[verb];
}

static void join_rules(struct whole *whole, const struct msg_resource *resource,
                       const struct resource_plan *written)
{
    size_t count = 0;
    for (const struct msg_rule *rule = resource->rules; rule->broken_when; rule++) {
        if (!(rule->verbs & bit_of(written->verb)))
            continue;
        assert(count < RESOURCE_RULES_MAX);
        whole->rules[count++] =
            (struct resource_rule){rule->err, rule->pointer, rule->detail, rule->broken_when};
    }
    const struct resource_rule *rules = written->make_rules ? written->make_rules() : written->rules;
    for (const struct resource_rule *rule = rules; rule && rule->broken_when; rule++) {
        assert(count < RESOURCE_RULES_MAX);
        whole->rules[count++] = *rule;
    }
    whole->plan.rules = whole->rules;
}

static bool is_written(const struct resource_plan *written, const char *column)
{
    for (const struct resource_column *c = written->computed; c && c->column; c++)
        if (strcmp(c->column, column) == 0)
            return true;
    return false;
}

/* What is written in C takes the place of what the schema says of the same column. */
static void join_computed(struct whole *whole, const struct msg_resource *resource,
                          const struct resource_plan *written)
{
    size_t count = 0;
    for (const struct msg_compute *column = resource->computed; column->column; column++) {
        if (!(column->verbs & bit_of(written->verb)) || is_written(written, column->column))
            continue;
        assert(count < COMPUTED_MAX);
        whole->computed[count++] = (struct resource_column){column->column, column->sql};
    }
    for (const struct resource_column *column = written->computed; column && column->column; column++) {
        assert(count < COMPUTED_MAX);
        whole->computed[count++] = *column;
    }
    whole->plan.computed = whole->computed;
}

struct resource_plan *resource_plan_whole(const struct msg_resource *resource,
                                          const struct resource_plan *written)
{
    struct whole *whole = xcalloc(1, sizeof(*whole));
    whole->plan = *written;
    join_rules(whole, resource, written);
    join_computed(whole, resource, written);
    const struct msg_number *number = resource->number;
    if (number && written->verb == (number->when_column ? RESOURCE_UPDATE : RESOURCE_CREATE) &&
        !written->number) {
        whole->number = (struct resource_number){number->column, number->scope, number->prefix,
                                                 number->when_column, number->when_value};
        whole->plan.number = &whole->number;
    }
    return &whole->plan;
}

void resource_plan_free(struct resource_plan *plan)
{
    free(plan); /* the first member of its `struct whole` */
}
