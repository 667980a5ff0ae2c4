#pragma once
/* The log: one JSON object a line on standard error, with time, level, process and event, then fields.
 * log_access is for lines of which each request makes one: they have a limit of their own, and are written together
 * at the end of a turn of the loop (log_flush). A
 * function that returns an error does not log it; the caller that handles the error logs it once. Secrets and
 * bodies are never logged. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    enum { LOG_FIELD_TEXT, LOG_FIELD_PLAIN, LOG_FIELD_INT, LOG_FIELD_REAL, LOG_FIELD_MS } kind;
    struct slice name;
    struct slice text;
    int64_t integer;
    double real;
};

#define LOG_S(name_, text_) \
    ((struct log_field){.name = slice_of(name_), .kind = LOG_FIELD_TEXT, .text = slice_of(text_)})
#define LOG_B(name_, slice_) \
    ((struct log_field){.name = slice_of(name_), .kind = LOG_FIELD_TEXT, .text = (slice_)})
#define LOG_I(name_, int_) \
    ((struct log_field){.name = slice_of(name_), .kind = LOG_FIELD_INT, .integer = (int64_t)(int_)})
/* A text in which JSON has nothing to escape; or NULL. */
#define LOG_P(name_, text_) \
    ((struct log_field){.name = slice_of(name_), .kind = LOG_FIELD_PLAIN, .text = slice_of(text_)})
/* Microseconds, logged as milliseconds: 1.234 */
#define LOG_MS(name_, us_) \
    ((struct log_field){.name = slice_of(name_), .kind = LOG_FIELD_MS, .integer = (int64_t)(us_)})
#define LOG_R(name_, real_) \
    ((struct log_field){.name = slice_of(name_), .kind = LOG_FIELD_REAL, .real = (real_)})

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
/* now_us: of the monotonic clock. The fields of a line that is not taken are not evaluated. */
#define log_access(level, now_us, event, ...)                          \
    do {                                                               \
        int64_t log_now_us_ = (now_us);                                \
        if (log_access_takes((level), log_now_us_, (event)))           \
            log_access_put_(level, log_now_us_, event, ##__VA_ARGS__); \
    } while (0)
#define log_access_put_(level, now_us, event, ...)                                             \
    log_access_put((level), (now_us), (event), (const struct log_field[]){{0}, ##__VA_ARGS__}, \
                   sizeof((const struct log_field[]){{0}, ##__VA_ARGS__}) / sizeof(struct log_field) - 1)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)

extern enum log_level log_threshold;

/* Sets the name of the process in every line ("gateway", "worker.projects") and the least level that is
 * logged. `name` is kept, not copied. Before the process opens anything (log_output.h). */
void log_init(const char *name, enum log_level threshold);

/* Bounds the lines of one event in a second; 0: no limit. Those beyond it are counted, and a line
 * "log.suppressed" tells how many there were. Lines of level debug have no limit. */
void log_limit(int64_t most_per_s);
/* The same for the lines of log_access; 0: none is written, and none is counted. */
void log_access_limit(int64_t most_per_s);
bool log_access_is_on(void);

/* Writes what was suppressed or dropped, as soon as that can be written. Each log line does this, too; a
 * process that may log nothing for long calls it now and then. */
void log_report(void);

/* Writes the lines of log_access that wait. The loop of a process calls it soon after log_waits() (pulse.h), and so
 * does a process that ends. */
bool log_waits(void);
void log_flush(void);

/* Never waits: when whoever reads standard error is behind, the line is dropped, and a line "log.dropped"
 * tells later how many there were. fields[0] is a placeholder; `count` fields follow it. In a line longer than 4 KiB the fields that do not
 * fit are left out. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);
/* Whether a line of log_access is to be written now. It counts in any case, so it is asked once for each line, before
 * that is made. */
bool log_access_takes(enum log_level level, int64_t now_us, const char *event);
/* Writes a line that was taken. */
void log_access_put(enum log_level level, int64_t now_us, const char *event, const struct log_field *fields,
                    size_t count);

/* Reads "debug", "info", "warn" or "error"; returns false for anything else. */
bool log_level_parse(const char *text, enum log_level *ret_level);
