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
    unsigned seen; /* SEEN_…: parameters that have come */
};

enum { SEEN_LIMIT = 1, SEEN_AFTER = 2, SEEN_TEXT = 4, SEEN_SORT = 8, SEEN_ARCHIVED = 16 };
enum { DETAIL_MAX = 2048 };

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
    char octets[CURSOR_OCTETS_MAX];
    struct cursor *after = &p->selection->after;
    if (cursor_parse(value, octets, after) != ERR_OK)
        complain(p, name, SLICE("must be the `next` of an earlier page"));
    else if (after->kind == CURSOR_TEXT)
        after->text = arena_copy(&p->call->arena, after->text);
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

static void take_sort(struct parsing *p, struct slice name, struct slice value)
{
    const struct plan *plan = p->plan;
    bool descending = value.len > 0 && value.data[0] == '-';
    struct slice field = descending ? (struct slice){value.data + 1, value.len - 1} : value;
    p->selection->shape.descending = descending;
    for (size_t i = 0; i < plan->sort_count; i++)
        if (slice_is(field, plan->sorts[i]->name)) {
            p->selection->shape.sort = (uint8_t)i;
            return;
        }
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, DETAIL_MAX);
    buf_append_text(&text, "must be one of these, with - before it for the contrary order: ");
    for (size_t i = 0; i < plan->sort_count; i++)
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", plan->sorts[i]->name);
    complain(p, name, arena_copy(&p->call->arena, buf_slice(&text)));
}

/* Every list has these. */
static const struct parameter {
    const char *name;
    unsigned bit;
    void (*take)(struct parsing *p, struct slice name, struct slice value);
} parameters[] = {
    {"limit", SEEN_LIMIT, take_limit},
    {"after", SEEN_AFTER, take_after},
    {"sort", SEEN_SORT, take_sort},
    {"text", SEEN_TEXT, take_text},
};

static bool has_parameter(const struct plan *plan, const struct parameter *parameter)
{
    return parameter->bit != SEEN_TEXT || plan->has_search;
}

static bool take_parameter(struct parsing *p, struct slice name, struct slice raw)
{
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        if (!slice_is(name, parameters[i].name) || !has_parameter(p->plan, &parameters[i]))
            continue;
        struct slice value = target_decode(&p->call->arena, raw);
        if (p->seen & parameters[i].bit)
            complain(p, name, SLICE("is given more than once"));
        else if (!value.data)
            complain(p, name, SLICE("is too long"));
        else
            parameters[i].take(p, name, value);
        p->seen |= parameters[i].bit;
        return true;
    }
    return false;
}

/* "due_date[gte]" is the field and the operator. */
static struct slice take_operator(struct slice *name)
{
    const char *open = memchr(name->data, '[', name->len);
    if (!open || name->data[name->len - 1] != ']')
        return SLICE("");
    size_t len = (size_t)(open - name->data);
    struct slice operator= {open + 1, name->len - len - 2};
    name->len = len;
    return operator.len> 0 ? operator: SLICE("[]"); /* which is none */
}

/* `archived=any` lists both: it is no filter. */
static struct slice take_archived(struct parsing *p, size_t at, struct slice operator, struct slice raw)
{
    bool is_again = operator.len == 0 && p->seen & SEEN_ARCHIVED;
    bool is_any = operator.len == 0 && slice_is(raw, "any");
    p->seen |= SEEN_ARCHIVED;
    if (is_again)
        return SLICE("is given more than once");
    return is_any ? SLICE_NONE
                  : filter_take(p->call, p->plan->filters[at], operator, raw,
                                &p->selection->shape.filters[at], &p->selection->filters[at]);
}

static bool take_filter(struct parsing *p, struct slice name, struct slice raw)
{
    struct slice field = name, operator= take_operator(&field);
    for (size_t i = 0; i < p->plan->filter_count; i++) {
        if (!slice_is(field, p->plan->filters[i]->name))
            continue;
        struct slice wrong = (int)i == p->plan->archived
                                 ? take_archived(p, i, operator, raw)
                                 : filter_take(p->call, p->plan->filters[i], operator, raw,
                                               &p->selection->shape.filters[i], &p->selection->filters[i]);
        if (wrong.data)
            complain(p, name, wrong);
        return true;
    }
    return false;
}

static struct slice no_such_parameter(struct parsing *p)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, DETAIL_MAX);
    buf_append_text(&text, "is not a parameter of this list, which has ");
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (has_parameter(p->plan, &parameters[i]))
            buf_printf(&text, "%s%s", i > 0 ? ", " : "", parameters[i].name);
    for (size_t i = 0; i < p->plan->filter_count; i++)
        buf_printf(&text, ", %s", p->plan->filters[i]->name);
    return arena_copy(&p->call->arena, buf_slice(&text));
}

static void take_pair(struct parsing *p, struct slice pair)
{
    struct slice name = target_decode(&p->call->arena, target_pair_name(pair)), raw = target_pair_value(pair);
    if (!name.data || (!take_parameter(p, name, raw) && !take_filter(p, name, raw)))
        complain(p, target_pair_name(pair), no_such_parameter(p));
}

/* ---- the cursor ---- */

/* Which list a cursor belongs to. */
static uint64_t digest_of(const struct call *call, const struct plan *plan, const struct selection *selection)
{
    struct slice parts[7 + 4 * PLAN_FILTERS_MAX];
    const struct plan_shape *shape = &selection->shape;
    const uint8_t order[] = {shape->descending, shape->text};
    size_t count = 0;
    parts[count++] = (struct slice){(const char *)call->identity.company.octet, sizeof(struct uuid)};
    parts[count++] = slice_of(plan->resource->name);
    parts[count++] = plan->resource->parent ? call->params[0] : SLICE("");
    parts[count++] = slice_of(plan->sorts[shape->sort]->name);
    parts[count++] = (struct slice){(const char *)order, sizeof(order)};
    parts[count++] = shape->text ? selection->text : SLICE("");
    for (size_t i = 0; i < plan->filter_count; i++) {
        if (!shape->filters[i])
            continue;
        const struct filter *filter = &selection->filters[i];
        const struct slice given[] = {filter->values, filter->low, filter->high};
        parts[count++] = slice_of(plan->filters[i]->name);
        for (size_t k = 0; k < ARRAY_LEN(given); k++)
            parts[count++] = given[k].data ? given[k] : SLICE("");
    }
    parts[count++] = (struct slice){(const char *)shape->filters, sizeof(shape->filters)};
    return msg_fingerprint(parts, count);
}

/* Cursors without a digest are from before there were any: of lists, oldest first, whose filters have one value. */
static bool is_old(const struct plan *plan, const struct plan_shape *shape)
{
    bool is_old = shape->sort == 0 && !shape->descending;
    for (size_t i = 0; i < plan->filter_count; i++)
        is_old = is_old && !(shape->filters[i] & ~(unsigned)PLAN_ONE);
    return is_old;
}

static struct slice check_cursor(struct parsing *p, uint64_t digest)
{
    const struct plan *plan = p->plan;
    struct plan_shape *shape = &p->selection->shape;
    struct cursor *after = &p->selection->after;
    if (after->has_digest ? after->digest != digest : !is_old(plan, shape))
        return SLICE("is the `next` of a list with another order, other filters, or of somebody else");
    if (after->kind == CURSOR_TEXT && filter_check(p->call, plan->sorts[shape->sort], &after->text).data)
        return SLICE("must be the `next` of an earlier page");
    bool is_null = after->kind == CURSOR_NULL;
    if ((after->kind == CURSOR_TIME) != (shape->sort == 0) ||
        !(is_null ? plan_has_nulls(plan, shape) : plan_has_values(plan, shape)))
        return SLICE("must be the `next` of an earlier page");
    shape->place = after->kind == CURSOR_NULL ? PLAN_AFTER_NULL : PLAN_AFTER;
    return SLICE_NONE;
}

/* When all else of the query is known. */
static void begin_somewhere(struct parsing *p)
{
    struct selection *selection = p->selection;
    uint64_t digest = digest_of(p->call, p->plan, selection);
    struct slice wrong = SLICE_NONE;
    if (p->seen & SEEN_AFTER)
        wrong = check_cursor(p, digest);
    else if (!plan_has_values(p->plan, &selection->shape) && plan_has_nulls(p->plan, &selection->shape))
        selection->shape.place = PLAN_NULLS;
    if (wrong.data)
        complain(p, SLICE("after"), wrong);
    selection->after.has_digest = true;
    selection->after.digest = digest;
}

enum err selection_parse(struct call *call, const struct plan *plan, struct selection *ret_selection,
                         struct msg_problems *problems)
{
    struct selection selection = {.limit = call->gateway->config->page_default};
    struct parsing p = {.call = call, .plan = plan, .selection = &selection, .problems = problems};
    for (struct slice pair, rest = call->query; (pair = target_next_pair(&rest)).data;)
        take_pair(&p, pair);
    if (plan->archived >= 0 && !(p.seen & SEEN_ARCHIVED)) {
        selection.filters[plan->archived].values = SLICE("false");
        selection.shape.filters[plan->archived] = PLAN_ONE;
    }
    if (problems->count == 0)
        begin_somewhere(&p);
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

bool selection_go_on(struct call *call, struct selection *selection, const struct cursor *after)
{
    selection->after = *after;
    selection->shape.place = after->kind == CURSOR_NULL ? PLAN_AFTER_NULL : PLAN_AFTER;
    if (after->kind == CURSOR_TEXT)
        selection->after.text = arena_copy(&call->arena, after->text);
    return after->kind != CURSOR_TEXT || selection->after.text.data;
}

void selection_go_on_with_nulls(struct selection *selection)
{
    struct cursor *after = &selection->after;
    selection->shape.place = PLAN_NULLS;
    after->kind = CURSOR_NULL;
    memset(&after->id, selection->shape.descending ? 0xff : 0, sizeof(after->id));
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
        const struct filter *filter = &selection->filters[i];
        const struct slice given[] = {filter->values, filter->low, filter->high};
        for (size_t k = 0; k < ARRAY_LEN(given); k++)
            if (given[k].data)
                params[count++] = given[k];
    }
    if (selection->shape.text)
        params[count++] = pattern_of(call, selection->text);
    if (selection->shape.place == PLAN_AFTER && selection->after.kind == CURSOR_TEXT) {
        params[count++] = selection->after.text;
    } else if (selection->shape.place == PLAN_AFTER) {
        clock_format(selection->after.created_us, text);
        params[count++] = arena_text(call, text);
    }
    if (selection->shape.place == PLAN_AFTER || selection->shape.place == PLAN_AFTER_NULL) {
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
