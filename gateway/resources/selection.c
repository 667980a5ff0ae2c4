#include "gateway/resources/selection.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/msg/resource_sql.h"
#include "gateway/http/authorize.h"
#include "gateway/http/target.h"
#include "gateway/resources/position.h"
#include "gateway/resources/query.h"

struct parsing {
    struct call *call;
    const struct plan *plan;
    struct selection *selection;
    struct msg_problems *problems;
    unsigned seen;     /* SEEN_…: parameters that have come */
    bool names_hidden; /* a field that the reader does not see */
};

enum {
    SEEN_LIMIT = 1,
    SEEN_AFTER = 2,
    SEEN_TEXT = 4,
    SEEN_SORT = 8,
    SEEN_FIELDS = 16,
    SEEN_INCLUDE = 32,
    SEEN_ARCHIVED = 64
};
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
    bool is_right =
        value.len > 0 && value.len <= SELECTION_TEXT_OCTETS && !memchr(value.data, '\0', value.len);
    json_t *json = is_right ? json_stringn(value.data, value.len) : NULL;
    if (!json || utf8_length(value) > SELECTION_TEXT_MAX)
        complain(p, name, SLICE("must be 1 to 200 characters of UTF-8"));
    json_decref(json);
    p->selection->text = value;
    p->selection->shape.text = true;
}

/* Says which names there are: the first ones and those of the list. */
struct names {
    struct buf text;
    const char *separator;
};

static void begin_names(struct names *names, const char *words)
{
    buf_init(&names->text, DETAIL_MAX);
    buf_append_text(&names->text, words);
    names->separator = "";
}

static void add_name(struct names *names, struct slice name)
{
    buf_printf(&names->text, "%s%.*s", names->separator, (int)name.len, name.data);
    names->separator = ", ";
}

static struct slice end_names(struct parsing *p, struct names *names)
{
    struct slice text = arena_copy(&p->call->arena, buf_slice(&names->text));
    buf_done(&names->text);
    return text;
}

/* A filter or an order by a field that the reader does not see would tell its values. */
static bool take_hidden(struct parsing *p, struct slice name, struct slice field)
{
    const struct msg_object *object = p->plan->resource->object;
    for (size_t i = 0; p->plan->hidden && i < object->field_count; i++)
        if (object->fields[i].classes & p->plan->hidden && slice_is(field, object->fields[i].name)) {
            complain(p, name, SLICE("is a field that your role does not see"));
            p->names_hidden = true;
            return true;
        }
    return false;
}

static void take_sort(struct parsing *p, struct slice name, struct slice value)
{
    const struct plan *plan = p->plan;
    struct names names;
    bool descending = value.len > 0 && value.data[0] == '-';
    struct slice field = descending ? (struct slice){value.data + 1, value.len - 1} : value;
    p->selection->shape.descending = descending;
    for (size_t i = 0; i < plan->sort_count; i++)
        if (slice_is(field, plan->sorts[i]->name)) {
            p->selection->shape.sort = (uint8_t)i;
            return;
        }
    if (take_hidden(p, name, field))
        return;
    begin_names(&names, "must be one of these, with - before it for the contrary order: ");
    for (size_t i = 0; i < plan->sort_count; i++)
        add_name(&names, slice_of(plan->sorts[i]->name));
    complain(p, name, end_names(p, &names));
}

static bool take_field(struct parsing *p, struct slice field)
{
    const struct msg_object *object = p->plan->resource->object;
    for (size_t i = 0; i < object->field_count; i++)
        if (slice_is(field, object->fields[i].name) && msg_is_shown(&object->fields[i])) {
            p->selection->shape.fields |= UINT64_C(1) << i;
            return true;
        }
    return false;
}

static struct slice next_name(struct slice *rest)
{
    const char *comma = memchr(rest->data, ',', rest->len);
    struct slice name = {rest->data, comma ? (size_t)(comma - rest->data) : rest->len};
    *rest = comma ? (struct slice){comma + 1, rest->len - name.len - 1} : SLICE_NONE;
    return name;
}

/* The id is always there. All of them are no choice. */
static void take_fields(struct parsing *p, struct slice name, struct slice value)
{
    const struct msg_object *object = p->plan->resource->object;
    struct names names;
    bool is_right = take_field(p, SLICE("id"));
    while (is_right && value.data)
        is_right = take_field(p, next_name(&value));
    if (p->selection->shape.fields & ~resource_sql_seen(p->plan->resource, p->plan->hidden)) {
        complain(p, name, SLICE("names a field that your role does not see"));
        p->names_hidden = true;
    }
    if (p->selection->shape.fields == resource_sql_seen(p->plan->resource, 0))
        p->selection->shape.fields = 0;
    if (is_right)
        return;
    begin_names(&names, "must be names of fields with commas between them: ");
    for (size_t i = 0; i < object->field_count; i++)
        if (msg_is_shown(&object->fields[i]))
            add_name(&names, slice_of(object->fields[i].name));
    complain(p, name, end_names(p, &names));
}

static bool may(const struct parsing *p, const struct msg_resource *resource, enum msg_right right)
{
    return authorize_conditions(p->call, resource, right) != 0;
}

/* Whoever may read none of the other entities cannot include them, and is told of it as of one that there is not. */
static bool take_one_include(struct parsing *p, struct slice include)
{
    const struct plan *plan = p->plan;
    uint8_t *includes = &p->selection->shape.includes;
    for (size_t i = 0; i < plan->include_count; i++)
        if (slice_equal(include, plan->includes[i].name) &&
            may(p, plan->includes[i].resource, MSG_RIGHT_READ)) {
            *includes |= (uint8_t)(1U << i);
            return true;
        }
    if (!plan->has_transitions || !slice_is(include, "allowed"))
        return false;
    *includes |= may(p, plan->resource, MSG_RIGHT_UPDATE) ? PLAN_ALLOWED : PLAN_ALLOWED_NO;
    return true;
}

static void take_include(struct parsing *p, struct slice name, struct slice value)
{
    const struct plan *plan = p->plan;
    struct names names;
    bool is_right = true;
    while (is_right && value.data)
        is_right = take_one_include(p, next_name(&value));
    if (is_right)
        return;
    begin_names(&names, "must be some of these with commas between them: ");
    for (size_t i = 0; i < plan->include_count; i++)
        if (may(p, plan->includes[i].resource, MSG_RIGHT_READ))
            add_name(&names, plan->includes[i].name);
    if (plan->has_transitions)
        add_name(&names, SLICE("allowed"));
    complain(p, name, end_names(p, &names));
}

/* Every list has these. */
static const struct parameter {
    const char *name;
    unsigned bit;
    void (*take)(struct parsing *p, struct slice name, struct slice value);
} parameters[] = {
    {"limit", SEEN_LIMIT, take_limit},       {"after", SEEN_AFTER, take_after},
    {"sort", SEEN_SORT, take_sort},          {"fields", SEEN_FIELDS, take_fields},
    {"include", SEEN_INCLUDE, take_include}, {"text", SEEN_TEXT, take_text},
};

static bool has_parameter(const struct plan *plan, const struct parameter *parameter)
{
    return (parameter->bit != SEEN_TEXT || plan->has_search) &&
           (parameter->bit != SEEN_INCLUDE || plan->include_count > 0 || plan->has_transitions);
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
    return take_hidden(p, name, field);
}

static struct slice no_such_parameter(struct parsing *p)
{
    struct names names;
    begin_names(&names, "is not a parameter of this list, which has ");
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (has_parameter(p->plan, &parameters[i]))
            add_name(&names, slice_of(parameters[i].name));
    for (size_t i = 0; i < p->plan->filter_count; i++)
        add_name(&names, slice_of(p->plan->filters[i]->name));
    return end_names(p, &names);
}

static void take_pair(struct parsing *p, struct slice pair)
{
    struct slice name = target_decode(&p->call->arena, target_pair_name(pair)), raw = target_pair_value(pair);
    if (!name.data || (!take_parameter(p, name, raw) && !take_filter(p, name, raw)))
        complain(p, name.data ? name : target_pair_name(pair), no_such_parameter(p));
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
    struct slice wrong =
        problems->count == 0 ? position_begin(call, plan, p.seen & SEEN_AFTER, &selection) : SLICE_NONE;
    if (wrong.data)
        complain(&p, SLICE("after"), wrong);
    if (problems->count > 0)
        return p.names_hidden ? ERR_FORBIDDEN : ERR_BAD_REQUEST;
    *ret_selection = selection;
    return ERR_OK;
}

/* %text%, with the characters escaped that mean something to LIKE. */
static struct slice pattern_of(struct call *call, struct slice text)
{
    char pattern[SELECTION_TEXT_OCTETS + 2]; /* what is escaped has one octet of four */
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
    if (plan_shape_asks_user(plan, &selection->shape))
        params[count++] = query_user(call);
    for (size_t i = 0; i < plan->filter_count; i++) {
        const struct filter *filter = &selection->filters[i];
        uint8_t demand = selection->shape.filters[i];
        if (demand & (PLAN_ONE | PLAN_SEVERAL))
            params[count++] = filter->values;
        if (demand & PLAN_LOW)
            params[count++] = filter->low;
        if (demand & PLAN_HIGH)
            params[count++] = filter->high;
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
