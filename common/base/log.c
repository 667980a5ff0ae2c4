#include "common/base/log.h"

#include "common/base/clock.h"
#include "common/base/log_file.h"
#include "common/base/log_line.h"
#include "common/base/log_output.h"
#include "common/base/macros.h"

enum { EVENTS = 256 };

enum log_level log_threshold = LOG_INFO;

void log_init(const char *name, enum log_level threshold)
{
    log_output_begin();
    log_line_init(name);
    log_threshold = threshold;
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* ---- what is not written ---- */

/* How many lines of an event were written in a second. Open addressing by the text of the event; an event that
 * finds no slot has no limit. */
struct event_rate {
    const char *event; /* NULL: the slot is free */
    int64_t second;
    int64_t lines, suppressed;
};

static struct event_rate rates[EVENTS];
static int64_t lines_per_s;  /* of one event; 0: no limit */
static int64_t access_per_s; /* of an event of log_access; 0: none */
static int64_t suppressed;   /* of all events, not reported yet */
static int64_t dropped;      /* lines that the reader of standard error had no room for, not reported yet */

void log_limit(int64_t most_per_s)
{
    lines_per_s = most_per_s;
}

void log_access_limit(int64_t most_per_s)
{
    access_per_s = most_per_s;
}

bool log_access_is_on(void)
{
    return access_per_s > 0;
}

static struct event_rate *rate_of(const char *event)
{
    size_t hash = 5381;
    for (const char *c = event; *c; c++)
        hash = hash * 33 + (unsigned char)*c;
    for (size_t i = 0; i < EVENTS; i++) {
        struct event_rate *rate = &rates[(hash + i) % EVENTS];
        if (!rate->event)
            rate->event = event;
        if (rate->event == event || strcmp(rate->event, event) == 0)
            return rate;
    }
    return NULL;
}

/* What an operator has asked for with the level "debug" comes whole. */
static bool is_one_too_many(enum log_level level, const char *event, int64_t most, int64_t now_s)
{
    struct event_rate *rate = most > 0 && level > LOG_DEBUG ? rate_of(event) : NULL;
    if (!rate)
        return false;
    if (rate->second != now_s && rate->suppressed == 0) {
        rate->second = now_s;
        rate->lines = 0;
    }
    if (rate->second == now_s && ++rate->lines <= most)
        return false;
    rate->suppressed++;
    suppressed++;
    return true;
}

/* Returns false when the reader of standard error has no room for it. Each line is one write, so that lines of several
 * processes do not mix. */
static bool put_line(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    struct slice line = log_line(level, clock_wall_us(), event, fields, count);
    return log_output(line.data, line.len);
}

/* A report waits until a line was written, so that a reader that is behind gets it later. */
static void report_dropped(void)
{
    const struct log_field fields[] = {{0}, LOG_I("lines", dropped)};
    if (dropped > 0 && put_line(LOG_WARN, "log.dropped", fields, 1))
        dropped = 0;
}

static void report_suppressed(int64_t now_s)
{
    static int64_t looked_s;
    if (suppressed == 0 || looked_s == now_s)
        return;
    looked_s = now_s;
    for (size_t i = 0; suppressed > 0 && i < EVENTS; i++) {
        struct event_rate *rate = &rates[i];
        if (rate->suppressed == 0 || rate->second == now_s)
            continue;
        const struct log_field fields[] = {{0}, LOG_S("of", rate->event), LOG_I("lines", rate->suppressed)};
        if (!put_line(LOG_WARN, "log.suppressed", fields, 2))
            return;
        suppressed -= rate->suppressed;
        rate->suppressed = 0;
    }
}

static void report_file(void)
{
    int error = log_file_error();
    if (error == 0)
        return;
    const struct log_field fields[] = {{0}, LOG_S("why", strerror(error))};
    (void)put_line(LOG_WARN, "log.file_stays_full", fields, 1);
}

/* Goes before each line, so it costs nothing when there is nothing to say. */
static void report(int64_t now_s)
{
    dropped += (int64_t)log_output_lost();
    report_dropped();
    report_file();
    if (dropped == 0)
        report_suppressed(now_s);
}

void log_report(void)
{
    log_flush();
    log_output_look();
    report(clock_monotonic_us() / 1000000);
}

void log_flush(void)
{
    log_output_flush();
}

bool log_waits(void)
{
    return log_output_waits();
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    int64_t now_s = clock_monotonic_us() / 1000000;
    report(now_s);
    if (is_one_too_many(level, event, lines_per_s, now_s))
        return;
    if (dropped > 0 || !put_line(level, event, fields, count))
        dropped++;
}

/* The wall clock by the monotonic one: how far they are apart is looked up once a second. */
static int64_t wall_us_of(int64_t now_us)
{
    static int64_t apart_us, second = -1;
    if (second != now_us / 1000000)
        apart_us = clock_wall_us() - clock_monotonic_us();
    second = now_us / 1000000;
    return now_us + apart_us;
}

bool log_access_takes(enum log_level level, int64_t now_us, const char *event)
{
    int64_t now_s = now_us / 1000000;
    if (access_per_s == 0 || level < log_threshold)
        return false;
    report(now_s);
    if (is_one_too_many(level, event, access_per_s, now_s))
        return false;
    if (dropped > 0)
        dropped++;
    return dropped == 0;
}

void log_access_put(enum log_level level, int64_t now_us, const char *event, const struct log_field *fields,
                    size_t count)
{
    struct slice line = log_line(level, wall_us_of(now_us), event, fields, count);
    log_output_later(line.data, line.len);
}
