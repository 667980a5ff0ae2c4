#include "gateway/resources/position.h"

/* Which list a cursor belongs to. */
static uint64_t digest_of(const struct call *call, const struct plan *plan, const struct selection *selection)
{
    struct slice parts[9 + 4 * PLAN_FILTERS_MAX];
    const struct plan_shape *shape = &selection->shape;
    const uint8_t order[] = {shape->descending, shape->text};
    const uint8_t rights[] = {(uint8_t)plan->conditions, (uint8_t)plan->hidden};
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
    if (plan->conditions || plan->conditions_of_parent || plan->hidden)
        parts[count++] = (struct slice){(const char *)rights, sizeof(rights)};
    if (plan->conditions || plan->conditions_of_parent)
        parts[count++] = (struct slice){(const char *)call->identity.user.octet, sizeof(struct uuid)};
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

/* Of money a cursor has the cents. */
static bool is_cents(struct slice text)
{
    enum { DIGITS_MAX = 17 };
    size_t begin = text.len > 0 && text.data[0] == '-', i = begin;
    while (i < text.len && text.data[i] >= '0' && text.data[i] <= '9')
        i++;
    return i == text.len && i > begin && i - begin <= DIGITS_MAX;
}

static bool is_value(struct call *call, const struct msg_field *sort, struct slice *text)
{
    return sort->shape.type == MSG_NUMBER ? is_cents(*text) : !filter_check(call, sort, text).data;
}

static struct slice check_cursor(struct call *call, const struct plan *plan, struct selection *selection,
                                 uint64_t digest)
{
    struct plan_shape *shape = &selection->shape;
    struct cursor *after = &selection->after;
    if (after->has_digest ? after->digest != digest : !is_old(plan, shape))
        return SLICE("is the `next` of a list with another order, other filters, or of somebody else");
    if (after->kind == CURSOR_TEXT && !is_value(call, plan->sorts[shape->sort], &after->text))
        return SLICE("must be the `next` of an earlier page");
    bool is_null = after->kind == CURSOR_NULL;
    if ((after->kind == CURSOR_TIME) != (shape->sort == 0) ||
        !(is_null ? plan_has_nulls(plan, shape) : plan_has_values(plan, shape)))
        return SLICE("must be the `next` of an earlier page");
    shape->place = after->kind == CURSOR_NULL ? PLAN_AFTER_NULL : PLAN_AFTER;
    return SLICE_NONE;
}

struct slice position_begin(struct call *call, const struct plan *plan, bool has_cursor,
                            struct selection *selection)
{
    uint64_t digest = digest_of(call, plan, selection);
    struct slice wrong = SLICE_NONE;
    if (has_cursor)
        wrong = check_cursor(call, plan, selection, digest);
    else if (!plan_has_values(plan, &selection->shape) && plan_has_nulls(plan, &selection->shape))
        selection->shape.place = PLAN_NULLS;
    selection->after.has_digest = true;
    selection->after.digest = digest;
    return wrong;
}

bool position_go_on(struct call *call, struct selection *selection, const struct cursor *after)
{
    selection->after = *after;
    selection->shape.place = after->kind == CURSOR_NULL ? PLAN_AFTER_NULL : PLAN_AFTER;
    if (after->kind == CURSOR_TEXT)
        selection->after.text = arena_copy(&call->arena, after->text);
    return after->kind != CURSOR_TEXT || selection->after.text.data;
}

void position_go_on_with_nulls(struct selection *selection)
{
    struct cursor *after = &selection->after;
    selection->shape.place = PLAN_NULLS;
    after->kind = CURSOR_NULL;
    memset(&after->id, selection->shape.descending ? 0xff : 0, sizeof(after->id));
}
