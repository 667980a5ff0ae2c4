#include "common/msg/check.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/utf8.h"
#include "common/msg/format.h"

enum { DETAIL_MAX = 256 };

void msg_complain(struct msg_sink *sink, const char *format, ...)
{
    char detail[DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    sink->complain(sink, detail);
}

const char *msg_type_demand(enum msg_type type)
{
    static const char *const demands[] = {
        [MSG_OBJECT] = "must be an object", [MSG_ARRAY] = "must be an array",
        [MSG_STRING] = "must be a string",  [MSG_INTEGER] = "must be an integer",
        [MSG_NUMBER] = "must be a number",  [MSG_BOOLEAN] = "must be true or false",
        [MSG_NULL] = "must be null",        [MSG_ANY] = "must be a value",
    };
    return demands[type];
}

/* Names as many of the allowed values as fit, each of them whole. */
static void complain_allowed(const struct msg_shape *shape, struct msg_sink *sink)
{
    char list[DETAIL_MAX - 32];
    size_t len = 0;
    const char *const *allowed = shape->allowed;
    for (; *allowed && len + strlen(*allowed) + 3 < sizeof(list); allowed++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", *allowed);
    list[len] = '\0';
    msg_complain(sink, "must be one of: %s%s", list, *allowed ? ", …" : "");
}

static bool is_allowed(const struct msg_shape *shape, struct slice text)
{
    for (const char *const *allowed = shape->allowed; *allowed; allowed++)
        if (slice_is(text, *allowed))
            return true;
    return false;
}

/* A text of n octets has between n/4 and n code points, so counting is rarely needed. A text that fits a
 * format is ASCII. */
static void check_length(const struct msg_shape *shape, struct slice text, struct msg_sink *sink)
{
    uint64_t minimum = (uint64_t)shape->min_length;
    uint64_t maximum = shape->max_length < 0 ? UINT64_MAX : (uint64_t)shape->max_length;
    if (text.len <= maximum && (text.len + 3) / 4 >= minimum)
        return;
    size_t length = shape->format ? text.len : utf8_length(text);
    if (length < minimum)
        msg_complain(sink, "must have at least %" PRIu64 " character%s", minimum, minimum == 1 ? "" : "s");
    if (length > maximum)
        msg_complain(sink, "must have at most %" PRIu64 " character%s", maximum, maximum == 1 ? "" : "s");
}

void msg_check_text(const struct msg_shape *shape, struct slice text, struct msg_sink *sink)
{
    if (text.len && memchr(text.data, '\0', text.len))
        msg_complain(sink, "must not contain the character U+0000");
    /* A text outside of its format or enum gets no second complaint, about its length. */
    if (!msg_format_accepts(shape->format, text))
        msg_complain(sink, "%s", msg_format_demand(shape->format));
    else if (shape->allowed && !is_allowed(shape, text))
        complain_allowed(shape, sink);
    else
        check_length(shape, text, sink);
}

/* Both numbers came from decimal text and are off by at most half a unit in the last place, and so is their
 * quotient. The quotient counts as whole when it is as near to a whole number as these three errors allow. */
static bool is_multiple(double value, double of)
{
    if (fmod(value, of) == 0)
        return true;
    double quotient = value / of;
    return isfinite(quotient) && fabs(quotient - round(quotient)) <= fabs(quotient) * 1.5 * DBL_EPSILON;
}

void msg_check_number(const struct msg_shape *shape, double value, struct msg_sink *sink)
{
    char bound[MSG_NUMBER_TEXT_SIZE];
    if (shape->has_minimum && (shape->minimum_exclusive ? value <= shape->minimum : value < shape->minimum)) {
        msg_number_text(shape->minimum, bound);
        msg_complain(sink, "must be %s %s", shape->minimum_exclusive ? "more than" : "at least", bound);
    }
    if (shape->has_maximum && (shape->maximum_exclusive ? value >= shape->maximum : value > shape->maximum)) {
        msg_number_text(shape->maximum, bound);
        msg_complain(sink, "must be %s %s", shape->maximum_exclusive ? "less than" : "at most", bound);
    }
    if (shape->multiple_of > 0 && !is_multiple(value, shape->multiple_of)) {
        msg_number_text(shape->multiple_of, bound);
        msg_complain(sink, "must be a multiple of %s", bound);
    }
}

void msg_check_count(const struct msg_shape *shape, size_t count, struct msg_sink *sink)
{
    if (count < (uint64_t)shape->min_items)
        msg_complain(sink, "must have at least %" PRId64 " item%s", shape->min_items,
                     shape->min_items == 1 ? "" : "s");
    if (shape->max_items >= 0 && count > (uint64_t)shape->max_items)
        msg_complain(sink, "must have at most %" PRId64 " item%s", shape->max_items,
                     shape->max_items == 1 ? "" : "s");
}
