#include "gateway/http/accept.h"

#include "gateway/http/field.h"

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ); -1: the text is no qvalue. */
static int parse_weight(struct slice text)
{
    if (text.len == 0 || text.len > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
        (text.len > 1 && text.data[1] != '.'))
        return -1;
    int weight = (text.data[0] - '0') * ACCEPT_MOST, unit = 100;
    for (size_t i = 2; i < text.len; i++, unit /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        weight += (text.data[i] - '0') * unit;
    }
    return weight <= ACCEPT_MOST ? weight : -1;
}

static int weight_of(struct slice parameters)
{
    while (parameters.len > 0) {
        struct slice parameter = field_next(&parameters, ';');
        if (parameter.len >= 2 && strncasecmp(parameter.data, "q=", 2) == 0)
            return parse_weight((struct slice){parameter.data + 2, parameter.len - 2});
    }
    return ACCEPT_MOST;
}

/* 3: the range is the type itself, 2: a wildcard of its kind, 1: any type, 0: another type. */
static int specificity(struct slice range, struct slice type)
{
    size_t kind = (size_t)((const char *)memchr(type.data, '/', type.len) - type.data) + 1;
    if (slice_equal_nocase(range, type))
        return 3;
    if (range.len == kind + 1 && range.data[kind] == '*' && strncasecmp(range.data, type.data, kind) == 0)
        return 2;
    return slice_is(range, "*/*") ? 1 : 0;
}

int accept_quality(struct slice accept, const char *type)
{
    int best = 0, quality = 0;
    if (field_trim(accept).len == 0)
        return ACCEPT_MOST;
    while (accept.len > 0) {
        struct slice parameters = field_next(&accept, ',');
        struct slice range = parameters.len > 0 ? field_next(&parameters, ';') : parameters;
        int specific = specificity(range, slice_of(type)), weight = weight_of(parameters);
        if (specific > best && weight >= 0) {
            best = specific;
            quality = weight;
        }
    }
    return quality;
}

bool accept_names(struct slice accept, const char *type)
{
    while (accept.len > 0) {
        struct slice parameters = field_next(&accept, ',');
        struct slice range = parameters.len > 0 ? field_next(&parameters, ';') : parameters;
        if (specificity(range, slice_of(type)) == 3 && weight_of(parameters) > 0)
            return true;
    }
    return false;
}
