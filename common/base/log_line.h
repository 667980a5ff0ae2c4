#pragma once
/* The text of a line of the log. A line of each request is made of it, so it costs few hundred nanoseconds: no memory
 * is taken, what lines have in common is kept, and so is the text of the present second. */

#include "common/base/log.h"

/* `name` is kept, not copied. */
void log_line_init(const char *process_name);

/* At most PIPE_BUF octets with the line's end; a field that does not fit is left out. Valid until the next call.
 * fields[0] is a placeholder. */
struct slice log_line(enum log_level level, int64_t wall_us, const char *event,
                      const struct log_field *fields, size_t count);
