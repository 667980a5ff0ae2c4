#include "gateway/resources/demands.h"

#include <stdio.h>

#include "common/msg/event_type.h"
#include "common/msg/problem.h"
#include "common/net/outbound_url.h"

static void check_url(const struct address_guard *outbound, const struct msg_place *place, const json_t *url,
                      struct msg_problems *problems)
{
    char why[OUTBOUND_URL_WHY_SIZE], detail[OUTBOUND_URL_WHY_SIZE + 32];
    if (json_is_null(url) || outbound_url_is_allowed(outbound, json_string_value(url), why))
        return;
    snprintf(detail, sizeof(detail), "is no URL to send to: %s", why);
    msg_problem_add(problems, place, detail);
}

static void check_event_types(const struct msg_place *above, const json_t *patterns,
                              struct msg_problems *problems)
{
    struct msg_place place = {.above = above};
    for (; place.index < json_array_size(patterns); place.index++) {
        const json_t *pattern = json_array_get(patterns, place.index);
        if (!msg_event_pattern_is_known(
                (struct slice){json_string_value(pattern), json_string_length(pattern)}))
            msg_problem_add(problems, &place, "is no type of events: GET /v1/event-types has them all");
    }
}

/* A value of another form has been complained about. */
static bool has_its_form(const struct msg_field *field, const json_t *value, struct arena *arena)
{
    struct msg_problems unheard = {.arena = arena};
    return msg_validate(&field->shape, MSG_EXACT, value, &unheard);
}

void demands_check(const struct address_guard *outbound, const struct msg_object *object, const json_t *body,
                   struct msg_problems *problems)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct msg_field *field = &object->fields[i];
        const json_t *value =
            field->outbound || field->event_types ? json_object_get(body, field->name) : NULL;
        const struct msg_place place = {.name = field->name};
        if (!value || !has_its_form(field, value, problems->arena))
            continue;
        if (field->outbound)
            check_url(outbound, &place, value, problems);
        else
            check_event_types(&place, value, problems);
    }
}
