#include "common/time/cron.h"

#include <stdio.h>

#include "common/time/calendar.h"

enum {
    DAY_S = 86400,
    YEARS_MAX = 29, /* the rarest date, a 29 February on one weekday, may be 28 years away around 2100 */
    LOOK_BACK_S = 2 * DAY_S /* longer than any change of the clocks */
};

enum field { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct {
    const char *name;
    int first, last;
    const char *words; /* names of three letters each; the first stands for the number `first` */
} fields[FIELDS] = {
    [SECOND] = {"second", 0, 59, NULL},
    [MINUTE] = {"minute", 0, 59, NULL},
    [HOUR] = {"hour", 0, 23, NULL},
    [DAY] = {"day of month", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    [WEEKDAY] = {"day of week", 0, 7, "sunmontuewedthufrisat"},
};

static const struct {
    const char *name, *means;
} nicknames[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
};

/* ---- reading ---- */

struct reader {
    struct slice rest; /* what is left of the field */
    enum field field;
    char *why;
};

static bool complain(struct reader *r, const char *what)
{
    snprintf(r->why, CRON_WHY_SIZE, "%s: %s", fields[r->field].name, what);
    return false;
}

static bool take_char(struct reader *r, char c)
{
    if (r->rest.len == 0 || r->rest.data[0] != c)
        return false;
    r->rest = (struct slice){r->rest.data + 1, r->rest.len - 1};
    return true;
}

static bool take_digits(struct reader *r, int *ret_number)
{
    size_t digits = 0;
    int number = 0;
    for (; digits < r->rest.len && r->rest.data[digits] >= '0' && r->rest.data[digits] <= '9'; digits++)
        if (number < 100000)
            number = number * 10 + (r->rest.data[digits] - '0');
    r->rest = (struct slice){r->rest.data + digits, r->rest.len - digits};
    *ret_number = number;
    return digits > 0;
}

static bool take_word(struct reader *r, int *ret_number)
{
    const char *words = fields[r->field].words;
    for (int i = 0; words && words[3 * i]; i++)
        if (r->rest.len >= 3 && strncasecmp(r->rest.data, words + 3 * i, 3) == 0) {
            r->rest = (struct slice){r->rest.data + 3, r->rest.len - 3};
            *ret_number = fields[r->field].first + i;
            return true;
        }
    return false;
}

/* Takes a number or a name within the bounds of the field. */
static bool take_value(struct reader *r, int *ret_value)
{
    char what[80];
    if (take_word(r, ret_value))
        return true;
    if (!take_digits(r, ret_value))
        return complain(r, r->rest.len == 0 ? "a value is missing"
                                            : "is not a number, a range, a list, a step or *");
    if (*ret_value >= fields[r->field].first && *ret_value <= fields[r->field].last)
        return true;
    snprintf(what, sizeof(what), "%d is not within %d to %d", *ret_value, fields[r->field].first,
             fields[r->field].last);
    return complain(r, what);
}

/* Takes "8-18" or "fri-sun", or one value. */
static bool take_range(struct reader *r, int *ret_from, int *ret_to, bool *ret_is_range)
{
    *ret_is_range = true;
    if (take_char(r, '*')) {
        *ret_from = fields[r->field].first;
        *ret_to = r->field == WEEKDAY ? 6 : fields[r->field].last;
        return true;
    }
    if (!take_value(r, ret_from))
        return false;
    *ret_to = *ret_from;
    *ret_is_range = take_char(r, '-');
    if (!*ret_is_range)
        return true;
    if (!take_value(r, ret_to))
        return false;
    if (r->field == WEEKDAY && *ret_to == 0)
        *ret_to = 7; /* a week may end on a Sunday */
    return *ret_from <= *ret_to || complain(r, "the range ends before it begins");
}

static bool take_step(struct reader *r, int from, int to, bool is_range, int *ret_step)
{
    *ret_step = 1;
    if (!take_char(r, '/'))
        return true;
    if (!is_range)
        return complain(r, "a step needs a range or *");
    if (!take_digits(r, ret_step))
        return complain(r, "a step must be a number");
    if (*ret_step == 0)
        return complain(r, "a step must be 1 or more");
    return *ret_step <= to - from || complain(r, "the step is longer than its range");
}

static bool read_field(struct reader *r, uint64_t *ret_bits, bool *ret_begins_with_star)
{
    uint64_t bits = 0;
    *ret_begins_with_star = r->rest.len > 0 && r->rest.data[0] == '*';
    do {
        int from, to, step;
        bool is_range;
        if (!take_range(r, &from, &to, &is_range) || !take_step(r, from, to, is_range, &step))
            return false;
        for (int value = from; value <= to; value += step)
            bits |= UINT64_C(1) << (r->field == WEEKDAY ? value % 7 : value);
    } while (take_char(r, ','));
    *ret_bits = bits;
    return r->rest.len == 0 || complain(r, "is not a number, a range, a list, a step or *");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Splits at blanks. Returns how many words there are, or FIELDS + 1 when there are more. */
static size_t split(struct slice text, struct slice words[FIELDS])
{
    size_t count = 0, at = 0;
    for (;;) {
        while (at < text.len && is_blank(text.data[at]))
            at++;
        if (at == text.len || count == FIELDS)
            return at == text.len ? count : FIELDS + 1;
        size_t begin = at;
        while (at < text.len && !is_blank(text.data[at]))
            at++;
        words[count++] = (struct slice){text.data + begin, at - begin};
    }
}

static struct slice without_nickname(struct slice text)
{
    for (size_t i = 0; i < ARRAY_LEN(nicknames); i++)
        if (slice_equal_nocase(text, slice_of(nicknames[i].name)))
            return slice_of(nicknames[i].means);
    return text;
}

/* Whether a day ever comes: 30 February does not. Where a weekday alone is enough, one always does. */
static bool comes(const struct cron *cron)
{
    for (int month = 1; month <= 12; month++)
        for (int day = 1; day <= calendar_month_days(2000, month); day++)
            if (cron->months >> month & 1 && cron->days >> day & 1)
                return true;
    return cron->any_day_fits;
}

enum err cron_parse(struct slice text, struct cron *ret_cron, char why[CRON_WHY_SIZE])
{
    struct slice words[FIELDS];
    struct cron cron = {.seconds = 1};
    uint64_t *const bits[FIELDS] = {&cron.seconds, &cron.minutes, &cron.hours,
                                    &cron.days,    &cron.months,  &cron.weekdays};
    bool star[FIELDS] = {false};
    size_t count = text.len <= CRON_TEXT_MAX ? split(without_nickname(text), words) : 0;
    if (count != FIELDS && count != FIELDS - 1) {
        snprintf(why, CRON_WHY_SIZE,
                 "needs five fields (minute, hour, day of month, month, day of week), or six with the "
                 "seconds in front, "
                 "or a name such as @daily");
        return ERR_VALIDATION;
    }
    for (size_t i = 0; i < count; i++) {
        struct reader r = {words[i], (enum field)(FIELDS - count + i), why};
        if (!read_field(&r, bits[r.field], &star[r.field]))
            return ERR_VALIDATION;
    }
    cron.any_day_fits = !star[DAY] && !star[WEEKDAY];
    cron.is_by_elapsed_time = star[HOUR] || star[MINUTE];
    if (!comes(&cron)) {
        snprintf(why, CRON_WHY_SIZE, "day of month: none of the months has such a day");
        return ERR_VALIDATION;
    }
    *ret_cron = cron;
    return ERR_OK;
}

/* ---- what comes next, by the clocks: seconds since 1970 as if they showed UTC ---- */

static bool has(uint64_t bits, int value)
{
    return bits >> value & 1;
}

static bool day_fits(const struct cron *cron, const struct date *date, int64_t days)
{
    bool by_day = has(cron->days, date->day), by_weekday = has(cron->weekdays, calendar_weekday(days));
    return has(cron->months, date->month) &&
           (cron->any_day_fits ? by_day || by_weekday : by_day && by_weekday);
}

/* Returns the first bit at `value` or above; -1: none. */
static int bit_from(uint64_t bits, int value)
{
    bits = value < 64 ? bits >> value : 0;
    return bits ? value + __builtin_ctzll(bits) : -1;
}

/* Returns the first time of the day that fits and is not before `of_day`; -1: none. */
static int64_t time_from(const struct cron *cron, int64_t of_day)
{
    int hour = (int)(of_day / 3600), minute = (int)(of_day / 60 % 60), second = (int)(of_day % 60);
    int h = bit_from(cron->hours, hour);
    if (h == hour) {
        int m = bit_from(cron->minutes, minute);
        int s = m == minute ? bit_from(cron->seconds, second) : bit_from(cron->seconds, 0);
        if (m == minute && s < 0) {
            m = bit_from(cron->minutes, minute + 1);
            s = bit_from(cron->seconds, 0);
        }
        if (m >= 0)
            return hour * 3600 + m * 60 + s;
        h = bit_from(cron->hours, hour + 1);
    }
    return h < 0 ? -1 : h * 3600 + bit_from(cron->minutes, 0) * 60 + bit_from(cron->seconds, 0);
}

/* Returns the first clock reading after `after` that fits; INT64_MAX: none. */
static int64_t next_reading(const struct cron *cron, int64_t after)
{
    int64_t from = after + 1;
    int64_t days = (from >= 0 ? from : from - (DAY_S - 1)) / DAY_S, of_day = from - days * DAY_S;
    for (int64_t last = days + YEARS_MAX * INT64_C(366); days <= last; of_day = 0) {
        struct date date = calendar_date(days);
        int64_t at = day_fits(cron, &date, days) ? time_from(cron, of_day) : -1;
        if (at >= 0)
            return days * DAY_S + at;
        days = has(cron->months, date.month)
                   ? days + 1
                   : days - date.day + 1 + calendar_month_days(date.year, date.month);
    }
    return INT64_MAX;
}

/* ---- in the zone ---- */

/* Goes through the spans of the zone after `after` and looks in each for a reading that fits. */
static int64_t next_by_elapsed_time(const struct cron *cron, const struct time_zone *zone, int64_t after)
{
    for (int64_t last = after + YEARS_MAX * INT64_C(366) * DAY_S; after < last;) {
        struct time_span span = time_zone_at(zone, after + 1);
        int64_t reading = next_reading(cron, after + span.offset_s);
        if (reading == INT64_MAX)
            return INT64_MAX;
        if (reading - span.offset_s < span.end_s)
            return reading - span.offset_s;
        after = span.end_s - 1;
    }
    return INT64_MAX;
}

/* Returns the latest reading that the clocks have shown up to a time. After the clocks were put back it is
 * later than what they show then. */
static int64_t latest_reading(const struct time_zone *zone, int64_t s)
{
    int64_t latest = INT64_MIN;
    for (int64_t at = s - LOOK_BACK_S; at <= s;) {
        struct time_span span = time_zone_at(zone, at);
        int64_t last = span.end_s <= s ? span.end_s - 1 : s;
        if (last + span.offset_s > latest)
            latest = last + span.offset_s;
        at = last + 1;
    }
    return latest;
}

/* Returns when the clocks first show that reading, or have just jumped over it. */
static int64_t first_shown(const struct time_zone *zone, int64_t reading)
{
    for (int64_t at = reading - LOOK_BACK_S;;) {
        struct time_span span = time_zone_at(zone, at);
        int64_t shown = reading - span.offset_s > at ? reading - span.offset_s : at;
        if (shown < span.end_s)
            return shown;
        at = span.end_s;
    }
}

int64_t cron_next(const struct cron *cron, const struct time_zone *zone, int64_t after_s)
{
    if (cron->is_by_elapsed_time)
        return next_by_elapsed_time(cron, zone, after_s);
    int64_t reading = next_reading(cron, latest_reading(zone, after_s));
    return reading == INT64_MAX ? INT64_MAX : first_shown(zone, reading);
}
