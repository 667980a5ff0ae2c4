#include "common/msg/format.h"

#include "common/base/base64.h"
#include "common/base/uuid.h"
#include "common/time/calendar.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes `count` digits from the front. Returns false when there are fewer or the value is out of bounds. */
static bool take_number(struct slice *text, size_t count, int minimum, int maximum, int *ret_value)
{
    int value = 0;
    if (text->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text->data[i]))
            return false;
        value = value * 10 + (text->data[i] - '0');
    }
    *text = (struct slice){text->data + count, text->len - count};
    *ret_value = value;
    return value >= minimum && value <= maximum;
}

static bool take_char(struct slice *text, char c)
{
    if (text->len == 0 || text->data[0] != c)
        return false;
    *text = (struct slice){text->data + 1, text->len - 1};
    return true;
}

/* RFC 3339 allows the letters T and Z in either case. */
static bool take_letter(struct slice *text, char upper)
{
    return take_char(text, upper) || take_char(text, (char)(upper | 0x20));
}

/* RFC 3339 full-date; year 0000 is left out, as PostgreSQL has none. */
static bool take_date(struct slice *text, int64_t *ret_days)
{
    int year, month, day;
    if (!take_number(text, 4, 1, 9999, &year) || !take_char(text, '-') ||
        !take_number(text, 2, 1, 12, &month) || !take_char(text, '-') ||
        !take_number(text, 2, 1, calendar_month_days(year, month), &day))
        return false;
    *ret_days = calendar_days(year, month, day);
    return true;
}

/* Cuts off what is finer than a millisecond. */
static bool take_fraction(struct slice *text, int *ret_ms)
{
    *ret_ms = 0;
    if (!take_char(text, '.'))
        return true;
    size_t digits = 0;
    for (int weight = 100; digits < text->len && is_digit(text->data[digits]); digits++, weight /= 10)
        *ret_ms += weight * (text->data[digits] - '0');
    *text = (struct slice){text->data + digits, text->len - digits};
    return digits > 0;
}

/* RFC 3339 time-offset, as minutes east of UTC. PostgreSQL goes to 15:59. */
static bool take_offset(struct slice *text, int *ret_minutes)
{
    *ret_minutes = 0;
    if (take_letter(text, 'Z'))
        return true;
    bool west = take_char(text, '-');
    int hours, minutes;
    if (!(west || take_char(text, '+')) || !take_number(text, 2, 0, 15, &hours) || !take_char(text, ':') ||
        !take_number(text, 2, 0, 59, &minutes))
        return false;
    *ret_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

/* A second 60 is a leap second: only at the end of a day of UTC (RFC 3339 section 5.7). */
static bool leap_second_fits(int hour, int minute, int offset)
{
    return (hour * 60 + minute - offset + 2 * 1440) % 1440 == 1439;
}

static bool is_date(struct slice text)
{
    int64_t days;
    return take_date(&text, &days) && text.len == 0;
}

bool msg_format_read_time(struct slice text, int64_t *ret_ms)
{
    int hour, minute, second, offset, ms;
    int64_t days;
    if (!take_date(&text, &days) || !take_letter(&text, 'T') || !take_number(&text, 2, 0, 23, &hour) ||
        !take_char(&text, ':') || !take_number(&text, 2, 0, 59, &minute) || !take_char(&text, ':') ||
        !take_number(&text, 2, 0, 60, &second) || !take_fraction(&text, &ms) ||
        !take_offset(&text, &offset) || text.len > 0 ||
        (second == 60 && !leap_second_fits(hour, minute, offset)))
        return false;
    *ret_ms = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + ms;
    return true;
}

static bool is_date_time(struct slice text)
{
    int64_t ms;
    return msg_format_read_time(text, &ms);
}

static bool is_uuid(struct slice text)
{
    struct uuid ignored;
    return uuid_parse(text, &ignored);
}

static bool is_base64(struct slice text)
{
    size_t len;
    CLEANUP_FREE char *octets = xmalloc(base64_room(text.len) + 1);
    return base64_decode(text, octets, &len);
}

static bool is_anything(struct slice text)
{
    (void)text;
    return true;
}

static const struct {
    const char *name;
    bool (*accepts)(struct slice text);
    const char *demand;
} formats[] = {
    [MSG_FORMAT_NONE] = {NULL, is_anything, "must be text"},
    [MSG_FORMAT_UUID] = {"uuid", is_uuid, "must be a UUID"},
    [MSG_FORMAT_DATE] = {"date", is_date, "must be a date (YYYY-MM-DD)"},
    [MSG_FORMAT_DATE_TIME] = {"date-time", is_date_time, "must be a time (YYYY-MM-DDThh:mm:ssZ, RFC 3339)"},
    [MSG_FORMAT_EMAIL] = {"email", msg_format_is_email, "must be an e-mail address"},
    [MSG_FORMAT_OCTETS] = {"octets", is_base64, "must be base64 (RFC 4648 section 4)"},
    [MSG_FORMAT_URI] = {"uri", msg_format_is_uri, "must be an absolute URI"},
};

bool msg_format_accepts(enum msg_format format, struct slice text)
{
    return formats[format].accepts(text);
}

const char *msg_format_demand(enum msg_format format)
{
    return formats[format].demand;
}

const char *msg_format_name(enum msg_format format)
{
    return formats[format].name;
}

bool msg_format_from_name(const char *name, enum msg_format *ret_format)
{
    for (size_t i = 1; i < ARRAY_LEN(formats); i++)
        if (i != MSG_FORMAT_OCTETS && strcmp(formats[i].name, name) == 0) {
            *ret_format = (enum msg_format)i;
            return true;
        }
    return false;
}
