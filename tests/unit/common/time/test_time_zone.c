/* Time zones compared with what the C library computes: every zone of the system, around every change from
 * 1900 to 2100. */

#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/time/calendar.h"
#include "common/time/time_zone.h"

static const char root[] = "/usr/share/zoneinfo/";
static size_t zones, spans;

static int64_t offset_of_libc(int64_t s)
{
    struct tm tm;
    time_t at = (time_t)s;
    assert_non_null(localtime_r(&at, &tm));
    return tm.tm_gmtoff;
}

static void expect_same(const char *name, int64_t s, int64_t offset)
{
    if (offset_of_libc(s) != offset)
        fail_msg("%s at %lld: %lld, not %lld", name, (long long)s, (long long)offset_of_libc(s),
                 (long long)offset);
}

static void compare(const char *name, const struct time_zone *zone)
{
    const int64_t from = calendar_days(1900, 1, 1) * 86400, to = calendar_days(2100, 1, 1) * 86400;
    setenv("TZ", name, 1);
    tzset();
    for (int64_t at = from; at < to;) {
        struct time_span span = time_zone_at(zone, at);
        int64_t end = span.end_s < to ? span.end_s : to;
        assert_true(end > at);
        expect_same(name, at, span.offset_s);
        expect_same(name, at + (end - at) / 2, span.offset_s);
        expect_same(name, end - 1, span.offset_s);
        at = end;
        spans++;
    }
}

static int on_file(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    struct time_zone *zone = NULL;
    const char *name = path + sizeof(root) - 1;
    (void)status, (void)place;
    if (kind != FTW_F || time_zone_open(slice_of(name), &zone))
        return 0;
    compare(name, zone);
    time_zone_free(zone);
    zones++;
    return 0;
}

static void test_zones_when_compared_with_the_c_library_show_the_same(void **state)
{
    (void)state;
    assert_int_equal(nftw(root, on_file, 16, FTW_PHYS), 0);
    assert_int_equal(nftw(root, on_file, 16, 0), 0); /* links are names, too */
    print_message("# %zu zones, %zu spans\n", zones, spans);
    assert_true(zones > 300 && spans > 10000);
}

/* Makes a file that lists no change, for a place that has always had one rule. */
static struct slice file_of(const char *rule, char file[256])
{
    static const char header[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1}; /* typecnt 1 */
    size_t len = 0;
    for (int block = 0; block < 2; block++) {
        memcpy(file + len, header, sizeof(header));
        memset(file + len + sizeof(header), 0, 6);
        len += sizeof(header) + 6;
    }
    len += (size_t)snprintf(file + len, 256 - len, "\n%s\n", rule);
    return (struct slice){file, len};
}

static const char *const rules[] = {
    "XXX3",
    "XXX-5:30",
    "<+0330>-3:30",
    "XXX3YYY,J60,J300",
    "XXX3YYY,59/1,300/3:30",
    "XXX3YYY2:30,J2/0,J364/23:59:59",
    "XXX-10YYY-11,M10.1.0,M4.1.0/3",
    "XXX-1YYY,M3.5.0,M10.5.0/3",
    "XXX-1YYY0,M10.5.0/2,M3.5.0/1",
    "XXX2YYY,M3.5.0/-2,M10.5.0/-1",
    "XXX4YYY,M9.1.6/24,M4.1.6/24",
};

static void test_rules_when_compared_with_the_c_library_mean_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        char file[256];
        struct time_zone *zone = NULL;
        if (time_zone_read(file_of(rules[i], file), &zone))
            fail_msg("not read: %s", rules[i]);
        setenv("TZ", rules[i], 1);
        tzset();
        for (int64_t at = calendar_days(1999, 1, 1) * 86400, end = calendar_days(2030, 1, 1) * 86400;
             at < end; at += 1800)
            expect_same(rules[i], at, time_zone_at(zone, at).offset_s);
        time_zone_free(zone);
    }
}

static const char *const no_rules[] = {
    "X3",
    "XXX",
    "XXX3YYY",
    "XXX3YYY,M3.5.0",
    "XXX3YYY,M13.5.0,M10.5.0",
    "XXX3YYY,M3.6.0,M10.5.0",
    "XXX3YYY,M3.5.7,M10.5.0",
    "XXX3YYY,J0,J300",
    "XXX3YYY,J366,J300",
    "XXX3YYY,J60/168,J300",
    "XXX27",
    "XXX3;",
    "<XX3",
};

static void test_rules_when_they_are_none_are_refused(void **state)
{
    struct time_zone *zone = NULL;
    char file[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(no_rules); i++)
        if (time_zone_read(file_of(no_rules[i], file), &zone) != ERR_BAD_REQUEST)
            fail_msg("is read: %s", no_rules[i]);
}

static void test_open_when_it_is_no_zone_finds_nothing(void **state)
{
    static const char *const names[] = {"",
                                        "Nowhere/City",
                                        "/etc/passwd",
                                        "../zoneinfo/UTC",
                                        "Europe",
                                        "Europe/",
                                        "Europe/../UTC",
                                        "zone.tab",
                                        "localtime",
                                        "posixrules",
                                        "posix/UTC",
                                        "right/UTC",
                                        "europe/berlin",
                                        "UTC ",
                                        "UTC\n",
                                        "right/Europe/Berlin",
                                        "Europe//Berlin"};
    struct time_zone *zone = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (time_zone_open(slice_of(names[i]), &zone) != ERR_NOT_FOUND)
            fail_msg("is a zone: %s", names[i]);
}

/* A database without the old names, as Debian 13 has it: a folder with the zones of zone.tab alone. */
static void test_open_when_the_system_lacks_the_old_names_opens_the_zones_that_they_stand_for(void **state)
{
    static const struct {
        const char *name, *zone;
    } links[] = {
#define TIME_ZONE_LINK(name, zone) {name, zone},
#include "common/time/zone_links.def"
#undef TIME_ZONE_LINK
    };
    char folder[] = "/tmp/test_time_zone_XXXXXX", command[512];
    struct time_zone *zone = NULL;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof(command),
             "cd /usr/share/zoneinfo && { grep -v '^#' zone.tab | cut -f3; echo Etc/UTC; echo Etc/GMT; } |"
             " tar --create --dereference --files-from - | tar --extract --directory %s",
             folder);
    assert_int_equal(system(command), 0);
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        if (time_zone_open_in(folder, slice_of(links[i].name), &zone))
            fail_msg("is no zone: %s", links[i].name);
        setenv("TZ", links[i].zone, 1);
        tzset();
        for (int64_t at = 0; at < 2000000000; at += 86400 * 30)
            expect_same(links[i].name, at, time_zone_at(zone, at).offset_s);
        time_zone_free(zone);
    }
    assert_int_equal(time_zone_open_in(folder, SLICE("US/Nowhere"), &zone), ERR_NOT_FOUND);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void test_read_when_the_file_is_cut_off_anywhere_refuses_it(void **state)
{
    char contents[8192];
    struct time_zone *zone = NULL;
    (void)state;
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "re");
    assert_non_null(file);
    size_t len = fread(contents, 1, sizeof(contents), file);
    fclose(file);
    for (size_t cut = 0; cut < len; cut++) {
        char *copy = xmalloc(cut + 1); /* of its own, so that a read past the end is seen */
        memcpy(copy, contents, cut);
        assert_int_equal(time_zone_read((struct slice){copy, cut}, &zone), ERR_BAD_REQUEST);
        free(copy);
    }
    assert_int_equal(time_zone_read((struct slice){contents, len}, &zone), ERR_OK);
    time_zone_free(zone);
}

static void test_calendar_when_every_day_is_walked_agrees_with_itself_and_the_c_library(void **state)
{
    (void)state;
    for (int64_t days = calendar_days(1600, 1, 1), end = calendar_days(2500, 1, 1); days < end; days++) {
        struct date date = calendar_date(days);
        struct tm tm;
        time_t at = (time_t)(days * 86400);
        gmtime_r(&at, &tm);
        if (calendar_days(date.year, date.month, date.day) != days || tm.tm_year + 1900 != date.year ||
            tm.tm_mon + 1 != date.month || tm.tm_mday != date.day || tm.tm_wday != calendar_weekday(days) ||
            date.day > calendar_month_days(date.year, date.month))
            fail_msg("wrong: day %lld", (long long)days);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zones_when_compared_with_the_c_library_show_the_same),
        cmocka_unit_test(test_rules_when_compared_with_the_c_library_mean_the_same),
        cmocka_unit_test(test_rules_when_they_are_none_are_refused),
        cmocka_unit_test(test_open_when_it_is_no_zone_finds_nothing),
        cmocka_unit_test(test_open_when_the_system_lacks_the_old_names_opens_the_zones_that_they_stand_for),
        cmocka_unit_test(test_read_when_the_file_is_cut_off_anywhere_refuses_it),
        cmocka_unit_test(test_calendar_when_every_day_is_walked_agrees_with_itself_and_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
