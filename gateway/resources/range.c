#include "gateway/resources/range.h"

static void skip_blanks(struct slice *text)
{
    while (text->len > 0 && (*text->data == ' ' || *text->data == '\t'))
        *text = (struct slice){text->data + 1, text->len - 1};
}

static bool take(struct slice *text, char c)
{
    if (text->len == 0 || *text->data != c)
        return false;
    *text = (struct slice){text->data + 1, text->len - 1};
    return true;
}

/* Takes digits; more than fit are INT64_MAX, which is past every end. False: there is none. */
static bool take_number(struct slice *text, int64_t *ret_number)
{
    int64_t number = 0;
    size_t len = 0;
    for (; len < text->len && text->data[len] >= '0' && text->data[len] <= '9'; len++) {
        int digit = text->data[len] - '0';
        number = number > (INT64_MAX - digit) / 10 ? INT64_MAX : number * 10 + digit;
    }
    *text = (struct slice){text->data + len, text->len - len};
    *ret_number = number;
    return len > 0;
}

/* "bytes=", whose name is no matter of case. */
static bool take_unit(struct slice *text)
{
    static const struct slice unit = {"bytes=", 6};
    skip_blanks(text);
    if (text->len < unit.len || !slice_equal_nocase((struct slice){text->data, unit.len}, unit))
        return false;
    *text = (struct slice){text->data + unit.len, text->len - unit.len};
    skip_blanks(text);
    return true;
}

static bool is_end(struct slice text)
{
    skip_blanks(&text);
    return text.len == 0;
}

static enum range_answer last_octets(struct slice text, int64_t size, struct range *ret_range)
{
    int64_t length;
    if (!take_number(&text, &length) || !is_end(text))
        return RANGE_WHOLE;
    if (length == 0)
        return RANGE_NOT_SATISFIED;
    if (size == 0)
        return RANGE_WHOLE; /* all of it is asked for, and 206 cannot say that this is nothing */
    length = length < size ? length : size;
    *ret_range = (struct range){size - length, length};
    return RANGE_PART;
}

enum range_answer range_parse(struct slice field, int64_t size, struct range *ret_range)
{
    *ret_range = (struct range){0, size};
    int64_t first, last;
    if (!field.data || !take_unit(&field))
        return RANGE_WHOLE;
    if (take(&field, '-'))
        return last_octets(field, size, ret_range);
    if (!take_number(&field, &first) || !take(&field, '-'))
        return RANGE_WHOLE;
    bool has_last = take_number(&field, &last);
    if (!is_end(field) || (has_last && last < first))
        return RANGE_WHOLE;
    if (first >= size)
        return RANGE_NOT_SATISFIED;
    last = has_last && last < size ? last : size - 1;
    *ret_range = (struct range){first, last - first + 1};
    return RANGE_PART;
}

bool range_is_current(struct slice if_range, struct slice etag)
{
    return !if_range.data || slice_equal(if_range, etag);
}
