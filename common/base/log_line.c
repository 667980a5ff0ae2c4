#include "common/base/log_line.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { LINE_MAX_BYTES = 4096, PREFIX_SIZE = 256, NUMBER_SIZE = 24, REAL_SIZE = 40 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    const char *process;
    char text[PREFIX_SIZE]; /* `","process":"gateway","pid":42,"event":"` */
    size_t len;             /* 0: to be made */
} prefix = {.process = "cortex"};

/* Where the next octet goes. */
struct cursor {
    char *at, *end;
};

/* ---- what lines have in common ---- */

static void forget_prefix(void)
{
    prefix.len = 0;
}

void log_line_init(const char *process_name)
{
    static bool follows_forks;
    prefix.process = process_name;
    forget_prefix();
    if (!follows_forks)
        follows_forks = pthread_atfork(NULL, NULL, forget_prefix) == 0;
}

static struct slice prefix_text(void)
{
    if (prefix.len == 0) {
        int len =
            snprintf(prefix.text, sizeof(prefix.text), "\",\"process\":\"%.100s\",\"pid\":%d,\"event\":\"",
                     prefix.process, (int)getpid());
        prefix.len = (size_t)len;
    }
    return (struct slice){prefix.text, prefix.len};
}

static struct slice time_text(int64_t wall_us)
{
    static char text[CLOCK_TEXT_SIZE];
    static int64_t second = -1;
    if (wall_us / 1000000 == second)
        clock_format_fraction(wall_us, text);
    else
        clock_format(wall_us, text);
    second = wall_us / 1000000;
    return (struct slice){text, CLOCK_TEXT_SIZE - 1};
}

/* ---- fields ---- */

static inline bool put(struct cursor *c, struct slice s)
{
    if ((size_t)(c->end - c->at) < s.len)
        return false;
    if (s.len > 0)
        memcpy(c->at, s.data, s.len);
    c->at += s.len;
    return true;
}

static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char octet = (unsigned char)s.data[i];
        if (octet < 0x20 || octet == '"' || octet == '\\' || octet == 0x7f)
            return false;
    }
    return true;
}

static bool put_escaped(struct cursor *c, struct slice s)
{
    CLEANUP(buf_done) struct buf json;
    buf_init(&json, LINE_MAX_BYTES);
    return buf_append_json_string(&json, s) && put(c, buf_slice(&json));
}

static bool put_plain(struct cursor *c, struct slice s)
{
    if (!s.data)
        return put(c, SLICE("null"));
    return put(c, SLICE("\"")) && put(c, s) && put(c, SLICE("\""));
}

/* Of `value`, with zeros in front up to so many digits. */
static bool put_number(struct cursor *c, uint64_t value, size_t least)
{
    char digits[NUMBER_SIZE];
    size_t at = sizeof(digits);
    for (; value > 0 || sizeof(digits) - at < least; value /= 10)
        digits[--at] = (char)('0' + value % 10);
    return put(c, (struct slice){digits + at, sizeof(digits) - at});
}

static bool put_integer(struct cursor *c, int64_t value)
{
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    return (value >= 0 || put(c, SLICE("-"))) && put_number(c, size, 1);
}

static bool put_ms(struct cursor *c, int64_t us)
{
    uint64_t size = us > 0 ? (uint64_t)us : 0;
    return put_number(c, size / 1000, 1) && put(c, SLICE(".")) && put_number(c, size % 1000, 3);
}

static bool put_real(struct cursor *c, double value)
{
    char text[REAL_SIZE];
    int len = snprintf(text, sizeof(text), "%.6g", value);
    return put(c, (struct slice){text, (size_t)len});
}

static bool put_value(struct cursor *c, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        return is_plain(field->text) ? put_plain(c, field->text) : put_escaped(c, field->text);
    case LOG_FIELD_PLAIN:
        return put_plain(c, field->text);
    case LOG_FIELD_INT:
        return put_integer(c, field->integer);
    case LOG_FIELD_MS:
        return put_ms(c, field->integer);
    case LOG_FIELD_REAL:
        return put_real(c, field->real);
    }
    return false;
}

/* A field that does not fit is left out as a whole, so that the line stays JSON. */
static void put_field(struct cursor *c, const struct log_field *field)
{
    char *before = c->at;
    bool fits = put(c, SLICE(",\"")) && put(c, field->name) && put(c, SLICE("\":")) && put_value(c, field);
    if (!fits)
        c->at = before;
}

/* ---- the line ---- */

struct slice log_line(enum log_level level, int64_t wall_us, const char *event,
                      const struct log_field *fields, size_t count)
{
    static char line[LINE_MAX_BYTES];
    static const struct slice end = {"}\n", 2};
    struct cursor c = {line, line + sizeof(line) - end.len};
    (void)(put(&c, SLICE("{\"at\":\"")) && put(&c, time_text(wall_us)) && put(&c, SLICE("\",\"level\":\"")) &&
           put(&c, slice_of(level_names[level])) && put(&c, prefix_text()) && put(&c, slice_of(event)) &&
           put(&c, SLICE("\"")));
    for (size_t i = 1; i <= count; i++)
        put_field(&c, &fields[i]);
    c.end += end.len;
    (void)put(&c, end);
    return (struct slice){line, (size_t)(c.at - line)};
}
