/* Cron expressions: which are read and which refused, and when they are due, compared with a clock that is
 * watched second by second. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/time/calendar.h"
#include "common/time/cron.h"

/* ---- reading ---- */

static const struct {
    const char *text, *why; /* a part of it */
} refused[] = {
    {"", "needs five fields"},
    {"* * * *", "needs five fields"},
    {"* * * * * * *", "needs five fields"},
    {"@reboot", "needs five fields"},
    {"60 * * * *", "minute: 60 is not within 0 to 59"},
    {"-1 * * * *", "minute: is not a number"},
    {"99999999999 * * * *", "minute: "},
    {"* 24 * * *", "hour: 24 is not within 0 to 23"},
    {"* * 0 * *", "day of month: 0 is not within 1 to 31"},
    {"* * 32 * *", "day of month: 32"},
    {"* * * 13 *", "month: 13 is not within 1 to 12"},
    {"* * * * 8", "day of week: 8 is not within 0 to 7"},
    {"60 * * * * *", "second: 60"},
    {"5-1 * * * *", "minute: the range ends before it begins"},
    {"* * * dec-feb *", "month: the range ends before it begins"},
    {"5/2 * * * *", "minute: a step needs a range or *"},
    {"*/0 * * * *", "minute: a step must be 1 or more"},
    {"*/60 * * * *", "minute: the step is longer than its range"},
    {"*/x * * * *", "minute: a step must be a number"},
    {"1, * * * *", "minute: a value is missing"},
    {",1 * * * *", "minute: is not a number"},
    {"1-2-3 * * * *", "minute: is not a number"},
    {"** * * * *", "minute: is not a number"},
    {"* * * janu *", "month: is not a number"},
    {"* * * * m", "day of week: is not a number"},
    {"* jan * * *", "hour: is not a number"},
    {"? * * * *", "minute: is not a number"},
    {"* * L * *", "day of month: is not a number"},
    {"0 0 30 2 *", "day of month: none of the months has such a day"},
    {"0 0 31 2,4,6,9,11 *", "day of month: none"},
};

static void test_parse_when_it_is_no_schedule_says_what_is_wrong(void **state)
{
    struct cron cron;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        char why[CRON_WHY_SIZE] = "";
        if (cron_parse(slice_of(refused[i].text), &cron, why) != ERR_VALIDATION ||
            !strstr(why, refused[i].why))
            fail_msg("\"%s\": %s", refused[i].text, why);
    }
    char text[CRON_TEXT_MAX + 2], why[CRON_WHY_SIZE];
    memset(text, ' ', sizeof(text));
    memcpy(text, "* * * * *", 9);
    assert_int_equal(cron_parse((struct slice){text, CRON_TEXT_MAX}, &cron, why), ERR_OK);
    assert_int_equal(cron_parse((struct slice){text, CRON_TEXT_MAX + 1}, &cron, why), ERR_VALIDATION);
}

static struct cron parse(const char *text)
{
    struct cron cron;
    char why[CRON_WHY_SIZE] = "";
    if (cron_parse(slice_of(text), &cron, why))
        fail_msg("\"%s\": %s", text, why);
    return cron;
}

static const char *const same[][2] = {
    {"@hourly", "0 * * * *"},
    {"@DAILY", "0 0 * * *"},
    {"@weekly", "0 0 * * sun"},
    {"@yearly", "0 0 1 jan *"},
    {"0 30 6 * * MON-FRI", "30 6 * * 1,2,3,4,5"},
    {"0 0 * * fri-sun", "0 0 * * 0,5,6"},
    {"0 0 * * 5-7", "0 0 * * fri,sat,7"},
    {"\t0  8-18/5 * * *  ", "0 8,13,18 * * *"},
    {"0 0 * Jan,JUN-aug *", "0 0 * 1,6,7,8 *"},
    {"1-3,2-5,5 0 * * *", "1-5 0 * * *"},
};

static void test_parse_when_it_is_written_in_another_way_means_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        struct cron a = parse(same[i][0]), b = parse(same[i][1]);
        if (memcmp(&a, &b, sizeof(a)) != 0)
            fail_msg("\"%s\" and \"%s\"", same[i][0], same[i][1]);
    }
}

/* ---- what comes next ---- */

static struct time_zone *open_zone(const char *name)
{
    struct time_zone *zone = NULL;
    assert_int_equal(time_zone_open(slice_of(name), &zone), ERR_OK);
    return zone;
}

static int64_t utc(const char *text)
{
    int y, mo, d, h, mi, s;
    assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d", &y, &mo, &d, &h, &mi, &s), 6);
    return calendar_days(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
}

static void expect_next(const char *text, const char *zone_name, const char *after, const char *next)
{
    struct cron cron = parse(text);
    struct time_zone *zone = open_zone(zone_name);
    int64_t got = cron_next(&cron, zone, utc(after));
    if (got != (next ? utc(next) : INT64_MAX)) {
        struct tm tm;
        char said[32];
        time_t at = (time_t)got;
        strftime(said, sizeof(said), "%F %T", gmtime_r(&at, &tm));
        fail_msg("\"%s\" in %s after %s: %s, not %s", text, zone_name, after, said, next);
    }
    time_zone_free(zone);
}

static void test_next_when_days_are_given_in_two_ways_follows_vixie_cron(void **state)
{
    (void)state;
    expect_next("0 0 13 * 5", "UTC", "2026-02-01 00:00:00", "2026-02-06 00:00:00"); /* a Friday, or a 13th */
    expect_next("0 0 13 * 5", "UTC", "2026-04-11 00:00:00", "2026-04-13 00:00:00");
    expect_next("0 0 13 * *", "UTC", "2026-02-01 00:00:00", "2026-02-13 00:00:00");
    expect_next("0 0 */2 * 5", "UTC", "2026-02-01 00:00:00",
                "2026-02-13 00:00:00"); /* an odd day and a Friday */
    expect_next("0 0 29 2 *", "UTC", "2026-01-01 00:00:00", "2028-02-29 00:00:00");
    expect_next("0 0 29 2 *", "UTC", "2096-03-01 00:00:00", "2104-02-29 00:00:00");
    expect_next("0 0 29 2 */6", "UTC", "2184-03-01 00:00:00",
                "2212-02-29 00:00:00"); /* a Saturday or Sunday */
}

static void test_next_when_the_clocks_go_on_a_time_that_is_left_out_comes_at_once(void **state)
{
    (void)state; /* Berlin: 02:00 is 03:00, at 01:00 UTC */
    expect_next("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00", "2026-03-29 01:00:00");
    expect_next("30 2 * * *", "Europe/Berlin", "2026-03-29 01:00:00", "2026-03-30 00:30:00");
    expect_next("0,30 2 * * *", "Europe/Berlin", "2026-03-29 00:59:59", "2026-03-29 01:00:00");
    expect_next("0,30 2 * * *", "Europe/Berlin", "2026-03-29 01:00:00", "2026-03-30 00:00:00");
    expect_next("0 3 * * *", "Europe/Berlin", "2026-03-28 12:00:00", "2026-03-29 01:00:00");
    expect_next("30 * * * *", "Europe/Berlin", "2026-03-29 00:30:00", "2026-03-29 01:30:00");
    expect_next("*/15 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00", "2026-03-30 00:00:00");
    /* Samoa left out a whole day. */
    expect_next("0 12 30 12 *", "Pacific/Apia", "2011-12-01 00:00:00", "2011-12-30 10:00:00");
}

static void test_next_when_the_clocks_are_put_back_a_time_that_comes_twice_counts_once(void **state)
{
    (void)state; /* Berlin: 03:00 is 02:00, at 01:00 UTC */
    expect_next("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00", "2026-10-25 00:30:00");
    expect_next("30 2 * * *", "Europe/Berlin", "2026-10-25 00:30:00", "2026-10-26 01:30:00");
    expect_next("30 2 * * *", "Europe/Berlin", "2026-10-25 01:00:00", "2026-10-26 01:30:00");
    expect_next("30 * * * *", "Europe/Berlin", "2026-10-25 00:30:00", "2026-10-25 01:30:00");
    expect_next("0 3 * * *", "Europe/Berlin", "2026-10-25 00:30:00", "2026-10-25 02:00:00");
    /* Sao Paulo: midnight is 23:00 of the day before. */
    expect_next("30 23 * * *", "America/Sao_Paulo", "2018-02-17 12:00:00", "2018-02-18 01:30:00");
    expect_next("30 23 * * *", "America/Sao_Paulo", "2018-02-18 01:30:00", "2018-02-19 02:30:00");
}

/* ---- against a clock that is watched ---- */

static uint64_t seed = 20260301;

static unsigned draw(unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % below;
}

/* A field as text, and the values that it stands for. */
struct expected {
    char text[200];
    bool on[6][64];
    bool star[6];
};

static const struct {
    int first, last;
} bounds[6] = {{0, 59}, {0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}};

static void draw_field(struct expected *e, int field, unsigned star_percent)
{
    char part[40];
    int first = bounds[field].first, last = bounds[field].last;
    e->star[field] = draw(100) < star_percent;
    if (e->star[field]) {
        int step = draw(3) == 0 ? 1 + (int)draw((unsigned)(last - first)) : 1;
        snprintf(part, sizeof(part), step > 1 ? "*/%d" : "*", step);
        strcat(e->text, part);
        for (int v = first; v <= last; v += step)
            e->on[field][v] = true;
        return;
    }
    for (unsigned i = 0, parts = 1 + draw(3); i < parts; i++) {
        int from = first + (int)draw((unsigned)(last - first + 1));
        int to = draw(2) ? from : from + (int)draw((unsigned)(last - from + 1));
        int step = to > from && draw(2) ? 1 + (int)draw((unsigned)(to - from)) : 1;
        snprintf(part, sizeof(part),
                 step > 1    ? "%s%d-%d/%d"
                 : to > from ? "%s%d-%d"
                             : "%s%d",
                 i ? "," : "", from, to, step);
        strcat(e->text, part);
        for (int v = from; v <= to; v += step)
            e->on[field][v] = true;
    }
}

static void draw_expression(struct expected *e)
{
    static const unsigned star_percent[6] = {0, 30, 40, 60, 70, 60};
    memset(e, 0, sizeof(*e));
    for (int field = 1; field < 6; field++) {
        draw_field(e, field, star_percent[field]);
        strcat(e->text, field < 5 ? " " : "");
    }
}

static bool reading_fits(const struct expected *e, int64_t reading)
{
    struct tm tm;
    time_t at = (time_t)reading;
    gmtime_r(&at, &tm);
    bool by_day = e->on[3][tm.tm_mday], by_weekday = e->on[5][tm.tm_wday];
    bool day = e->star[3] || e->star[5] ? by_day && by_weekday : by_day || by_weekday;
    return day && e->on[4][tm.tm_mon + 1] && e->on[2][tm.tm_hour] && e->on[1][tm.tm_min];
}

/* Watches the clocks minute by minute: cron_next must return every time that fits, in order, and no other. */
static void watch(const struct expected *e, const struct time_zone *zone, int64_t from, int64_t to)
{
    struct cron cron = parse(e->text);
    bool by_elapsed_time = e->star[1] || e->star[2];
    int64_t seen = INT64_MIN, next = cron_next(&cron, zone, from - 1);
    for (int64_t at = from - 3 * 86400; at < to; at += 60) {
        int64_t reading = at + time_zone_at(zone, at).offset_s;
        bool fits = false;
        if (by_elapsed_time)
            fits = reading_fits(e, reading);
        else
            for (int64_t r = seen == INT64_MIN ? reading : seen + 60; r <= reading; r += 60)
                fits = fits || reading_fits(e, r);
        seen = reading > seen ? reading : seen;
        if (at < from || (!fits && next != at))
            continue;
        if (next != at)
            fail_msg("\"%s\": %lld should follow, not %lld", e->text, (long long)at, (long long)next);
        if (!fits)
            fail_msg("\"%s\": %lld does not fit", e->text, (long long)at);
        next = cron_next(&cron, zone, at);
        assert_true(next > at);
        assert_true(cron_next(&cron, zone, at + 1) == next || next == at + 1); /* from any second on */
    }
    assert_true(next >= to);
}

static void test_next_when_compared_with_a_clock_that_is_watched_returns_each_time_once(void **state)
{
    static const char *const names[] = {"UTC",
                                        "Europe/Berlin",
                                        "America/New_York",
                                        "Australia/Lord_Howe",
                                        "Asia/Kathmandu",
                                        "America/Sao_Paulo",
                                        "Pacific/Apia",
                                        "Africa/Casablanca"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct time_zone *zone = open_zone(names[i]);
        for (int round = 0; round < 60; round++) {
            struct expected e;
            draw_expression(&e);
            struct cron cron;
            char why[CRON_WHY_SIZE];
            if (cron_parse(slice_of(e.text), &cron, why)) {
                assert_non_null(strstr(why, "none of the months"));
                continue;
            }
            /* Days around a change of the clocks between 2005 and 2040, or any days. */
            int64_t at = (calendar_days(2005, 1, 1) + draw(35 * 365)) * 86400;
            struct time_span span = time_zone_at(zone, at);
            if (span.end_s < calendar_days(2040, 1, 1) * 86400)
                at = span.end_s;
            watch(&e, zone, at - 86400 - at % 60, at + 3 * 86400 - at % 60);
        }
        time_zone_free(zone);
    }
}

static void test_next_when_seconds_are_counted_comes_each_second_that_fits(void **state)
{
    struct cron cron = parse("*/7 59 23 31 12 *");
    struct time_zone *zone = open_zone("Europe/Berlin");
    (void)state;
    int64_t at = utc("2026-12-31 22:58:59");
    for (int second = 0; second < 60; second += 7) {
        at = cron_next(&cron, zone, at);
        assert_int_equal(at, utc("2026-12-31 22:59:00") + second);
    }
    assert_int_equal(cron_next(&cron, zone, at), utc("2027-12-31 22:59:00"));
    time_zone_free(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_when_it_is_no_schedule_says_what_is_wrong),
        cmocka_unit_test(test_parse_when_it_is_written_in_another_way_means_the_same),
        cmocka_unit_test(test_next_when_days_are_given_in_two_ways_follows_vixie_cron),
        cmocka_unit_test(test_next_when_the_clocks_go_on_a_time_that_is_left_out_comes_at_once),
        cmocka_unit_test(test_next_when_the_clocks_are_put_back_a_time_that_comes_twice_counts_once),
        cmocka_unit_test(test_next_when_compared_with_a_clock_that_is_watched_returns_each_time_once),
        cmocka_unit_test(test_next_when_seconds_are_counted_comes_each_second_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
