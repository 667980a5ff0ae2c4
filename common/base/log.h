#pragma once
/* The log: one JSON object a line on standard error, with time, level, process and event, then fields. A
 * function that returns an error does not log it; the caller that handles the error logs it once. Secrets and
 * bodies are never logged. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name;
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_REAL } kind;
    struct slice text;
    int64_t integer;
    double real;
};

#define LOG_S(name_, text_) \
    ((struct log_field){.name = (name_), .kind = LOG_FIELD_TEXT, .text = slice_of(text_)})
#define LOG_B(name_, slice_) ((struct log_field){.name = (name_), .kind = LOG_FIELD_TEXT, .text = (slice_)})
#define LOG_I(name_, int_) \
    ((struct log_field){.name = (name_), .kind = LOG_FIELD_INT, .integer = (int64_t)(int_)})
#define LOG_R(name_, real_) ((struct log_field){.name = (name_), .kind = LOG_FIELD_REAL, .real = (real_)})

/* log_info("broker.connected", LOG_S("host", host), LOG_I("port", port)) logs an event name, then fields.
 * Below the threshold it costs one comparison: the fields are not evaluated. */
#define log_at(level, ...)               \
    do {                                 \
        if ((level) >= log_threshold)    \
            log_at_(level, __VA_ARGS__); \
    } while (0)
#define log_at_(level, event, ...)                                              \
    log_write((level), (event), (const struct log_field[]){{0}, ##__VA_ARGS__}, \
              sizeof((const struct log_field[]){{0}, ##__VA_ARGS__}) / sizeof(struct log_field) - 1)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)

extern enum log_level log_threshold;

/* Sets the name of the process in every line ("gateway", "worker.projects") and the least level that is
 * logged. `name` is kept, not copied. */
void log_init(const char *name, enum log_level threshold);

/* Bounds the lines of one event in a second; 0: no limit. Those beyond it are counted, and a line
 * "log.suppressed" tells how many there were. Lines of level debug have no limit. */
void log_limit(int64_t most_per_s);

/* Writes what was suppressed or dropped, as soon as that can be written. Each log line does this, too; a
 * process that may log nothing for long calls it now and then. */
void log_report(void);

/* Never waits: when whoever reads standard error is behind, the line is dropped, and a line "log.dropped"
 * tells later how many there were. fields[0] is a placeholder; `count` fields follow it. In a line longer than 4 KiB the fields that do not
 * fit are left out. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);

/* Reads "debug", "info", "warn" or "error"; returns false for anything else. */
bool log_level_parse(const char *text, enum log_level *ret_level);
