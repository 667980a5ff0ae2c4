#pragma once
/* Takes the value of a header field apart (RFC 9110 5.6): lists, parameters, and the blanks around them. */

#include "common/base/slice.h"

static inline bool field_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The text without the blanks at both ends. */
static inline struct slice field_trim(struct slice s)
{
    while (s.len > 0 && field_is_blank(s.data[0]))
        s = (struct slice){s.data + 1, s.len - 1};
    while (s.len > 0 && field_is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* The text up to the next separator outside of quotes, without blanks at its ends. *rest moves behind the
 * separator. */
struct slice field_next(struct slice *rest, char separator);
