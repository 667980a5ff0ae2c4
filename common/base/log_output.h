#pragma once
/* Writes lines to standard error and never waits for whoever reads it. A reader that stands still costs lines,
 * not the process.
 *
 * Standard error is often shared with other processes, and O_NONBLOCK belongs to what is shared. So it is left
 * as it is: a pipe or a terminal is opened once more for this process, and a socket is asked not to wait with
 * each line. A file is written to as it is. Standard error may be replaced at any time. */

#include <stdbool.h>
#include <stddef.h>

/* At most PIPE_BUF octets, which a pipe takes as a whole or not at all. False: the reader is behind and the
 * line is lost. A line that nobody can read (standard error is closed) counts as written. */
bool log_output(const char *line, size_t len);
