#include "gateway/resources/selection.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "gateway/http/target.h"

struct parsing {
    struct call *call;
    const struct plan *plan;
    struct selection *selection;
    struct msg_problems *problems;
    unsigned seen; /* a bit for each filter and parameter that has come */
};

/* Beside a bit for each filter. */
enum { SEEN_LIMIT = 1 << PLAN_FILTERS_MAX, SEEN_AFTER = SEEN_LIMIT << 1, SEEN_TEXT = SEEN_AFTER << 1 };

static struct slice arena_text(struct call *call, const char *text)
{
    return arena_copy(&call->arena, slice_of(text));
}

static void complain(struct parsing *p, struct slice name, struct slice detail)
{
    char pointer[80];
    snprintf(pointer, sizeof(pointer), "?%.*s", (int)(name.len < 64 ? name.len : 64), name.data);
    if (++p->problems->count > MSG_PROBLEMS_MAX)
        return;
    struct msg_problem *problem = arena_calloc(&p->call->arena, 1, sizeof(*problem));
    if (!problem)
        return;
    problem->pointer = arena_text(p->call, pointer);
    problem->detail = detail;
    if (p->problems->last)
        p->problems->last->next = problem;
    else
        p->problems->first = problem;
    p->problems->last = problem;
}

static void take_limit(struct parsing *p, struct slice name, struct slice value)
{
    const struct config *config = p->call->gateway->config;
    CLEANUP(json_cleanup) json_t *number = json_number_of(value);
    int64_t limit = json_integer_value(number);
    if (limit < 1 || limit > config->page_max) {
        char detail[64];
        snprintf(detail, sizeof(detail), "must be a number from 1 to %lld", (long long)config->page_max);
        complain(p, name, arena_text(p->call, detail));
        return;
    }
    p->selection->limit = limit;
}

static void take_after(struct parsing *p, struct slice name, struct slice value)
{
    if (cursor_parse(value, &p->selection->after) != ERR_OK)
        complain(p, name, SLICE("must be the `next` of an earlier page"));
    p->selection->shape.place = PLAN_AFTER;
}

/* The value as JSON of the field's type, which the check of bodies can then read; NULL when it is none. */
static json_t *json_of(const struct msg_shape *shape, struct slice value)
{
    if (shape->type == MSG_BOOLEAN && (slice_is(value, "true") || slice_is(value, "false")))
        return json_boolean(value.data[0] == 't');
    if (shape->type == MSG_INTEGER || shape->type == MSG_NUMBER)
        return json_number_of(value);
    /* jansson refuses texts that are not UTF-8, and PostgreSQL has no NUL. */
    if (shape->type == MSG_STRING && !memchr(value.data, '\0', value.len))
        return json_stringn(value.data, value.len);
    return NULL;
}

static void take_filter(struct parsing *p, size_t at, struct slice value)
{
    const struct msg_field *field = p->plan->filters[at];
    struct msg_problems found = {.arena = &p->call->arena};
    json_t *json = json_of(&field->shape, value);
    if (!json)
        complain(p, slice_of(field->name), SLICE("is not a value of this field"));
    else if (!msg_validate(&field->shape, MSG_EXACT, json, &found))
        complain(p, slice_of(field->name),
                 found.first ? found.first->detail : SLICE("is not a value of this field"));
    if (json_is_integer(json)) { /* "1e1" is no integer to PostgreSQL */
        char number[24];
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(json));
        value = arena_text(p->call, number);
    }
    json_decref(json);
    p->selection->filters[at].values = value;
    p->selection->shape.filters[at] = PLAN_ONE;
}

static void take_text(struct parsing *p, struct slice name, struct slice value)
{
    json_t *json = value.len > 0 && value.len <= SELECTION_TEXT_MAX && !memchr(value.data, '\0', value.len)
                       ? json_stringn(value.data, value.len)
                       : NULL;
    if (!json)
        complain(p, name, SLICE("must be 1 to 200 octets of UTF-8"));
    json_decref(json);
    p->selection->text = value;
    p->selection->shape.text = true;
}

/* False when the parameter has been there before. */
static bool first_time(struct parsing *p, struct slice name, unsigned bit)
{
    if (p->seen & bit)
        complain(p, name, SLICE("is given more than once"));
    bool first = !(p->seen & bit);
    p->seen |= bit;
    return first;
}

/* Every list has these. */
static const struct parameter {
    const char *name;
    unsigned bit;
    void (*take)(struct parsing *p, struct slice name, struct slice value);
} parameters[] = {
    {"limit", SEEN_LIMIT, take_limit},
    {"after", SEEN_AFTER, take_after},
    {"text", SEEN_TEXT, take_text},
};

static bool take_parameter(struct parsing *p, struct slice pair)
{
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        struct slice value = target_parameter(&p->call->arena, pair, parameters[i].name);
        if (!value.data || (parameters[i].bit == SEEN_TEXT && !p->plan->has_search))
            continue;
        struct slice name = slice_of(parameters[i].name);
        if (first_time(p, name, parameters[i].bit))
            parameters[i].take(p, name, value);
        return true;
    }
    return false;
}

static bool take_filter_pair(struct parsing *p, struct slice pair)
{
    for (size_t i = 0; i < p->plan->filter_count; i++) {
        const char *name = p->plan->filters[i]->name;
        struct slice value = target_parameter(&p->call->arena, pair, name);
        if (!value.data)
            continue;
        if (!first_time(p, slice_of(name), 1U << i))
            return true;
        if ((int)i != p->plan->archived || !slice_is(value, "any"))
            take_filter(p, i, value);
        return true;
    }
    return false;
}

static void take_pair(struct parsing *p, struct slice pair)
{
    if (!take_parameter(p, pair) && !take_filter_pair(p, pair))
        complain(p, target_pair_name(pair), SLICE("is not a parameter of this list"));
}

enum err selection_parse(struct call *call, const struct plan *plan, struct selection *ret_selection,
                         struct msg_problems *problems)
{
    struct selection selection = {.limit = call->gateway->config->page_default};
    struct parsing p = {.call = call, .plan = plan, .selection = &selection, .problems = problems};
    for (struct slice pair, rest = call->query; (pair = target_next_pair(&rest)).data;)
        take_pair(&p, pair);
    if (plan->archived >= 0 && !(p.seen & 1U << plan->archived)) {
        selection.filters[plan->archived].values = SLICE("false");
        selection.shape.filters[plan->archived] = PLAN_ONE;
    }
    if (problems->count > 0)
        return ERR_BAD_REQUEST;
    *ret_selection = selection;
    return ERR_OK;
}

/* %text%, with the characters escaped that mean something to LIKE. */
static struct slice pattern_of(struct call *call, struct slice text)
{
    char pattern[2 * SELECTION_TEXT_MAX + 2];
    size_t len = 0;
    pattern[len++] = '%';
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("%_\\", text.data[i]))
            pattern[len++] = '\\';
        pattern[len++] = text.data[i];
    }
    pattern[len++] = '%';
    return arena_copy(&call->arena, (struct slice){pattern, len});
}

void selection_go_on(struct selection *selection, const struct cursor *after)
{
    selection->after = *after;
    selection->shape.place = PLAN_AFTER;
}

static struct slice arena_number(struct call *call, int64_t number)
{
    char text[DB_NUMBER_SIZE];
    return arena_copy(&call->arena, db_number(number, text));
}

size_t selection_params(struct call *call, const struct selection *selection, const struct plan *plan,
                        int64_t rows, struct slice params[SELECTION_PARAMS_MAX])
{
    size_t count = 0;
    char text[CLOCK_TEXT_SIZE > UUID_TEXT_LEN + 1 ? CLOCK_TEXT_SIZE : UUID_TEXT_LEN + 1];
    params[count++] = arena_number(call, rows);
    if (plan->resource->parent)
        params[count++] = call->params[0];
    for (size_t i = 0; i < plan->filter_count; i++) {
        const struct selection_filter *filter = &selection->filters[i];
        const struct slice given[] = {filter->values, filter->low, filter->high};
        for (size_t k = 0; k < ARRAY_LEN(given); k++)
            if (given[k].data)
                params[count++] = given[k];
    }
    if (selection->shape.text)
        params[count++] = pattern_of(call, selection->text);
    if (selection->shape.place == PLAN_AFTER) {
        clock_format(selection->after.created_us, text);
        params[count++] = arena_text(call, text);
        uuid_format(&selection->after.id, text);
        params[count++] = arena_text(call, text);
    }
    return count;
}

size_t selection_step_params(struct call *call, const struct selection *selection, const struct plan *plan,
                             int64_t rows, int64_t look_at, bool in_turn,
                             struct slice params[SELECTION_PARAMS_MAX])
{
    size_t count = selection_params(call, selection, plan, rows, params);
    if (!plan_compares(plan, &selection->shape))
        return count;
    params[count++] = arena_number(call, look_at);
    params[count++] = in_turn ? SLICE("true") : SLICE("false");
    return count;
}
