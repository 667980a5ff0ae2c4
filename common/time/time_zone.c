#include "common/time/time_zone.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/file.h"
#include "common/base/macros.h"
#include "common/time/calendar.h"

enum { FILE_MAX = 64 << 10, HEADER_SIZE = 44, DAY_S = 86400, HOURS_MAX = 167 /* RFC 8536 section 3.3.1 */ };

/* When the clocks are changed in each year: a rule of the footer (POSIX TZ). */
struct rule {
    /* 'M': day of the week in a week of a month; 'J': 1 to 365 without 29 February; 'n': 0 to 365. */
    char kind;
    int month, week, day; /* the last two kinds have only `day` */
    int64_t at_s;         /* seconds into the local day, by the clocks before the change */
};

/* What holds after the last change that the file lists. */
struct footer {
    bool has_dst;
    int64_t standard_s, dst_s;
    struct rule starts, ends; /* daylight saving */
};

struct time_zone {
    size_t count;
    int64_t *at;     /* when the offset changes, ascending */
    int64_t *offset; /* seconds ahead of UTC, from that change on */
    int64_t first_offset;
    struct footer footer;
};

/* ---- the text of the footer ---- */

static bool take_char(struct slice *text, char c)
{
    if (text->len == 0 || text->data[0] != c)
        return false;
    *text = (struct slice){text->data + 1, text->len - 1};
    return true;
}

static bool take_number(struct slice *text, int minimum, int maximum, int *ret_value)
{
    int value = 0;
    size_t digits = 0;
    for (; digits < text->len && digits < 4 && text->data[digits] >= '0' && text->data[digits] <= '9';
         digits++)
        value = value * 10 + (text->data[digits] - '0');
    *text = (struct slice){text->data + digits, text->len - digits};
    *ret_value = value;
    return digits > 0 && value >= minimum && value <= maximum;
}

/* "CEST", or "<+03>" */
static bool take_name(struct slice *text)
{
    size_t len = 0;
    if (take_char(text, '<')) {
        while (len < text->len && text->data[len] != '>')
            len++;
        *text = (struct slice){text->data + len, text->len - len};
        return len >= 3 && take_char(text, '>');
    }
    while (len < text->len && ((text->data[len] | 0x20) >= 'a' && (text->data[len] | 0x20) <= 'z'))
        len++;
    *text = (struct slice){text->data + len, text->len - len};
    return len >= 3;
}

/* "[+-]h[:mm[:ss]]" */
static bool take_time(struct slice *text, int64_t *ret_s)
{
    bool is_negative = take_char(text, '-');
    int h, m = 0, s = 0;
    if (!is_negative)
        take_char(text, '+');
    if (!take_number(text, 0, HOURS_MAX, &h) || (take_char(text, ':') && !take_number(text, 0, 59, &m)) ||
        (take_char(text, ':') && !take_number(text, 0, 59, &s)))
        return false;
    *ret_s = (is_negative ? -1 : 1) * (h * 3600 + m * 60 + s);
    return true;
}

/* "M3.5.0/2", "J60", "59" */
static bool take_rule(struct slice *text, struct rule *rule)
{
    *rule = (struct rule){.kind = 'n', .at_s = 2 * 3600};
    bool is_good;
    if (take_char(text, 'M')) {
        rule->kind = 'M';
        is_good = take_number(text, 1, 12, &rule->month) && take_char(text, '.') &&
                  take_number(text, 1, 5, &rule->week) && take_char(text, '.') &&
                  take_number(text, 0, 6, &rule->day);
    } else if (take_char(text, 'J')) {
        rule->kind = 'J';
        is_good = take_number(text, 1, 365, &rule->day);
    } else {
        is_good = take_number(text, 0, 365, &rule->day);
    }
    return is_good && (!take_char(text, '/') || take_time(text, &rule->at_s));
}

/* RFC 8536 section 3.2: no place is farther from UTC. */
static bool is_offset(int64_t s)
{
    return s > -25 * 3600 && s < 26 * 3600;
}

/* POSIX counts offsets west of Greenwich. */
static bool take_offset(struct slice *text, int64_t *ret_s)
{
    int64_t west;
    if (!take_time(text, &west))
        return false;
    *ret_s = -west;
    return is_offset(-west);
}

static bool read_footer(struct slice text, struct footer *footer)
{
    *footer = (struct footer){0};
    if (!take_name(&text) || !take_offset(&text, &footer->standard_s))
        return false;
    if (text.len == 0)
        return true;
    footer->has_dst = true;
    footer->dst_s = footer->standard_s + 3600;
    if (!take_name(&text) || (text.len > 0 && text.data[0] != ',' && !take_offset(&text, &footer->dst_s)))
        return false;
    return take_char(&text, ',') && take_rule(&text, &footer->starts) && take_char(&text, ',') &&
           take_rule(&text, &footer->ends) && text.len == 0;
}

/* ---- the changes that the footer states ---- */

static int64_t day_of(const struct rule *rule, int year)
{
    if (rule->kind == 'n')
        return calendar_days(year, 1, 1) + rule->day;
    if (rule->kind == 'J')
        return calendar_days(year, 1, 1) + rule->day - 1 +
               (rule->day >= 60 && calendar_month_days(year, 2) == 29);
    int64_t first = calendar_days(year, rule->month, 1);
    int64_t day = first + (rule->day - calendar_weekday(first) + 7) % 7 + 7 * (rule->week - 1);
    return day < first + calendar_month_days(year, rule->month) ? day : day - 7; /* week 5: the last */
}

/* The latest change at or before `s`, and the first after it. */
static struct time_span span_by_rules(const struct footer *footer, int64_t s)
{
    struct time_span span = {.offset_s = footer->standard_s, .end_s = INT64_MAX};
    if (!footer->has_dst)
        return span;
    int64_t latest = INT64_MIN;
    int year = calendar_date((s >= 0 ? s : s - (DAY_S - 1)) / DAY_S).year;
    for (int y = year - 1; y <= year + 1; y++)
        for (int starts = 0; starts < 2; starts++) {
            const struct rule *rule = starts ? &footer->starts : &footer->ends;
            int64_t before = starts ? footer->standard_s : footer->dst_s;
            int64_t at = day_of(rule, y) * DAY_S + rule->at_s - before;
            if (at <= s && at >= latest) {
                latest = at;
                span.offset_s = starts ? footer->dst_s : footer->standard_s;
            } else if (at > s && at < span.end_s) {
                span.end_s = at;
            }
        }
    return span;
}

struct time_span time_zone_at(const struct time_zone *zone, int64_t s)
{
    if (zone->count == 0 || s >= zone->at[zone->count - 1])
        return span_by_rules(&zone->footer, s);
    size_t from = 0, to = zone->count - 1; /* the first change after s is among these */
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (zone->at[middle] > s)
            to = middle;
        else
            from = middle + 1;
    }
    return (struct time_span){.offset_s = from > 0 ? zone->offset[from - 1] : zone->first_offset,
                              .end_s = zone->at[from]};
}

/* ---- the file ---- */

struct counts {
    uint32_t isut, isstd, leap, time, type, name;
};

static uint64_t read_be(const char *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | (uint8_t)at[i];
    return value;
}

static bool take_header(struct slice *file, struct counts *counts)
{
    if (file->len < HEADER_SIZE || memcmp(file->data, "TZif", 4) != 0 || file->data[4] < '2')
        return false;
    uint32_t *fields[] = {&counts->isut, &counts->isstd, &counts->leap,
                          &counts->time, &counts->type,  &counts->name};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if ((*fields[i] = (uint32_t)read_be(file->data + 20 + 4 * i, 4)) > FILE_MAX)
            return false;
    *file = (struct slice){file->data + HEADER_SIZE, file->len - HEADER_SIZE};
    return true;
}

static size_t block_size(const struct counts *c, size_t time_size)
{
    return c->time * (time_size + 1) + c->type * (size_t)6 + c->name + c->leap * (time_size + 4) + c->isstd +
           c->isut;
}

static bool skip(struct slice *file, size_t len)
{
    if (file->len < len)
        return false;
    *file = (struct slice){file->data + len, file->len - len};
    return true;
}

static bool read_changes(struct time_zone *zone, const char *block, const struct counts *c)
{
    const char *indexes = block + c->time * (size_t)8, *types = indexes + c->time;
    zone->count = c->time;
    zone->at = xcalloc(c->time + 1, sizeof(int64_t));
    zone->offset = xcalloc(c->time + 1, sizeof(int64_t));
    zone->first_offset = (int32_t)read_be(types, 4);
    for (size_t i = 0; i < c->time; i++) {
        uint8_t type = (uint8_t)indexes[i];
        zone->at[i] = (int64_t)read_be(block + 8 * i, 8);
        if (type >= c->type || (i > 0 && zone->at[i] <= zone->at[i - 1]))
            return false;
        zone->offset[i] = (int32_t)read_be(types + 6 * type, 4);
        if (!is_offset(zone->offset[i]))
            return false;
    }
    return is_offset(zone->first_offset);
}

/* Without rules the last offset stays. */
static bool read_end(struct time_zone *zone, struct slice file)
{
    if (!take_char(&file, '\n') || file.len == 0 || file.data[file.len - 1] != '\n')
        return false;
    file.len--;
    zone->footer =
        (struct footer){.standard_s = zone->count > 0 ? zone->offset[zone->count - 1] : zone->first_offset};
    return file.len == 0 || read_footer(file, &zone->footer);
}

enum err time_zone_read(struct slice file, struct time_zone **ret_zone)
{
    struct counts c;
    /* The file begins with the same data in 32 bits, for old readers. */
    if (!take_header(&file, &c) || !skip(&file, block_size(&c, 4)) || !take_header(&file, &c) || c.leap > 0 ||
        c.type == 0)
        return ERR_BAD_REQUEST;
    const char *block = file.data;
    if (!skip(&file, block_size(&c, 8)))
        return ERR_BAD_REQUEST;
    struct time_zone *zone = xcalloc(1, sizeof(*zone));
    if (!read_changes(zone, block, &c) || !read_end(zone, file)) {
        time_zone_free(zone);
        return ERR_BAD_REQUEST;
    }
    *ret_zone = zone;
    return ERR_OK;
}

/* Words of letters, digits and "_+-", joined by slashes: a name never leaves the folder. Names of the database begin with a
 * capital letter. What else a system has in the folder differs from machine to machine: "localtime", "posixrules",
 * "right/…". */
static bool is_name(struct slice name)
{
    bool begins = true;
    if (name.len == 0 || name.data[0] < 'A' || name.data[0] > 'Z')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool is_letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
        if (!is_letter && (begins || c == '\0' || !strchr("_+-/", c)))
            return false;
        begins = c == '/';
    }
    return name.len <= TIME_ZONE_NAME_MAX && !begins;
}

static const struct {
    const char *name, *zone;
} links[] = {
#define TIME_ZONE_LINK(name, zone) {name, zone},
#include "common/time/zone_links.def"
#undef TIME_ZONE_LINK
};

/* The zone that a link stands for; the name itself when it is no link. */
static struct slice follow(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        if (slice_is(name, links[i].name))
            return slice_of(links[i].zone);
    return name;
}

static FILE *open_file(const char *folder, struct slice name)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%.*s", folder, (int)name.len, name.data);
    return len < (int)sizeof(path) ? file_open(path) : NULL;
}

enum err time_zone_open(struct slice name, struct time_zone **ret_zone)
{
    return time_zone_open_in("/usr/share/zoneinfo", name, ret_zone);
}

/* What the system says of a name comes before our table of links, which may be older. */
enum err time_zone_open_in(const char *folder, struct slice name, struct time_zone **ret_zone)
{
    if (!is_name(name))
        return ERR_NOT_FOUND;
    FILE *file = open_file(folder, name);
    if (!file)
        file = open_file(folder, follow(name));
    if (!file)
        return ERR_NOT_FOUND;
    CLEANUP_FREE char *contents = xmalloc(FILE_MAX);
    size_t len = fread(contents, 1, FILE_MAX, file);
    fclose(file);
    return time_zone_read((struct slice){contents, len}, ret_zone) ? ERR_NOT_FOUND : ERR_OK;
}

void time_zone_free(struct time_zone *zone)
{
    if (!zone)
        return;
    free(zone->at);
    free(zone->offset);
    free(zone);
}
