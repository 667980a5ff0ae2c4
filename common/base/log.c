#include "common/base/log.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { LINE_MAX_BYTES = 4096 };

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

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
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
    /* Each line is one write, so that lines of several processes do not mix. A failure could be reported
     * nowhere. */
    ssize_t written = write(STDERR_FILENO, buf_data(&line), buf_len(&line));
    (void)written;
    buf_done(&line);
}
