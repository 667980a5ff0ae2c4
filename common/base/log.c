#include "common/base/log.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/log_output.h"

enum { LINE_MAX_BYTES = 4096, EVENTS = 256 };

enum log_level log_threshold = LOG_INFO;
static const char *process_name = "cortex";

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(const char *name, enum log_level threshold)
{
    process_name = name;
    log_threshold = threshold;
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void append_value(struct buf *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        if (field->text.data)
            buf_append_json_string(line, field->text);
        else
            buf_append_text(line, "null");
        break;
    case LOG_FIELD_INT:
        buf_append_i64(line, field->integer);
        break;
    case LOG_FIELD_REAL:
        buf_printf(line, "%.6g", field->real);
        break;
    }
}

static void append_field(struct buf *line, const struct log_field *field)
{
    size_t before = line->end;
    buf_append_text(line, ",");
    buf_append_json_string(line, slice_of(field->name));
    buf_append_text(line, ":");
    append_value(line, field);
    if (line->truncated) { /* a field that does not fit is left out as a whole, so that the line stays JSON */
        line->end = before;
        line->truncated = false;
    }
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
static int64_t lines_per_s; /* of one event; 0: no limit */
static int64_t suppressed;  /* of all events, not reported yet */
static int64_t dropped;     /* lines that the reader of standard error had no room for, not reported yet */

void log_limit(int64_t most_per_s)
{
    lines_per_s = most_per_s;
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
static bool is_one_too_many(enum log_level level, const char *event, int64_t now_s)
{
    struct event_rate *rate = lines_per_s > 0 && level > LOG_DEBUG ? rate_of(event) : NULL;
    if (!rate)
        return false;
    if (rate->second != now_s && rate->suppressed == 0) {
        rate->second = now_s;
        rate->lines = 0;
    }
    if (rate->second == now_s && ++rate->lines <= lines_per_s)
        return false;
    rate->suppressed++;
    suppressed++;
    return true;
}

static bool put_line(enum log_level level, const char *event, const struct log_field *fields, size_t count);

/* A report waits until a line was written, so that a reader that is behind gets it later. */
static void report_dropped(void)
{
    const struct log_field fields[] = {{0}, LOG_I("lines", dropped)};
    if (dropped > 0 && put_line(LOG_WARN, "log.dropped", fields, 1))
        dropped = 0;
}

static void report_suppressed(int64_t now_s)
{
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

void log_report(void)
{
    report_dropped();
    if (dropped == 0)
        report_suppressed((int64_t)clock_monotonic_s());
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    int64_t now_s = (int64_t)clock_monotonic_s();
    log_report();
    if (is_one_too_many(level, event, now_s))
        return;
    if (dropped > 0 || !put_line(level, event, fields, count))
        dropped++;
}

/* ---- a line ---- */

/* Returns false when the reader of standard error has no room for it. */
static bool put_line(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    struct buf line;
    char at[CLOCK_TEXT_SIZE];
    buf_init(&line, LINE_MAX_BYTES - 2);
    clock_format(clock_wall_us(), at);
    buf_printf(&line, "{\"at\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"pid\":%d,\"event\":", at,
               level_names[level], process_name, (int)getpid());
    buf_append_json_string(&line, slice_of(event));
    for (size_t i = 1; i <= count; i++)
        append_field(&line, &fields[i]);
    line.max = LINE_MAX_BYTES;
    buf_append_text(&line, "}\n");
    /* Each line is one write, so that lines of several processes do not mix. */
    bool is_written = log_output(buf_data(&line), buf_len(&line));
    buf_done(&line);
    return is_written;
}
