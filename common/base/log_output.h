#pragma once
/* Writes lines to standard error and never waits for whoever reads it. A reader that stands still costs lines,
 * not the process.
 *
 *   log_output ─────────────────────▶ standard error (log_file.h, where it is a file)
 *   log_output_later ─▶ waits ── flush ──▲   at the end of a turn, when much waits, and before another line
 *
 * Standard error is often shared with other processes, and O_NONBLOCK belongs to what is shared. So it is left
 * as it is: a pipe or a terminal is opened once more for this process, and a socket is asked not to wait with
 * each line. A file is written to as it is. Standard error may be replaced at any time. */

#include <stdbool.h>
#include <stddef.h>

/* Opens as /dev/null what is closed of standard input, output and error. Otherwise the next connection would get that
 * number, and whatever is written to standard error would go into it. A process calls it before it opens anything. */
void log_output_begin(void);

/* At most PIPE_BUF octets, which a pipe takes as a whole or not at all. False: the reader is behind, or the disk is
 * full, and the line is lost. A line that nobody can read (standard error is closed) counts as written. */
bool log_output(const char *line, size_t len);

/* The same for a line of which many come: it is written together with others, in the order of all lines. */
void log_output_later(const char *line, size_t len);
bool log_output_waits(void);
void log_output_flush(void);
/* Lines that waited and were lost since the last call. */
size_t log_output_lost(void);

/* For a process that writes nothing for long: it lets go of a file that others have renamed, so that its room on the
 * disk is free when it is deleted. */
void log_output_look(void);
