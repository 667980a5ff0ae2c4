#pragma once
/* Where standard error is a file, that file is renamed when it is full, and a new one takes its name.
 *
 *   gateway.log ── full ──▶ gateway.log.1 ──▶ gateway.log.2 ──▶ gateway.log.3 ──▶ deleted
 *
 * Several processes write to one file. The first that finds it full renames it; the others find theirs full, too,
 * and open the one that has the name by then. Until they do they write to the renamed one, so no line is lost. A lock
 * on the full file keeps two of them from renaming it; a process that does not get it comes back with its next line.
 * Nobody waits.
 *
 * The folder is held open, so that it may be renamed. The process must be allowed to write in it; where it is not, the
 * file grows, and log_file_error says so. Standard error that is no file, or is replaced, is left to whoever did it. */

#include <stdint.h>
#include <sys/stat.h>

enum { LOG_FILES_KEPT = 3 }; /* beside the one that is written */

/* Octets from which on a file is full; 0: never. The name of the file is looked up in this call. */
void log_file_set_max(int64_t octets);

/* `state` is that of standard error; afterwards standard error may be another file. */
void log_file_look(const struct stat *state);

/* Why a full file could not be renamed (errno), since the last call; 0: it was, or did not have to be. After a failure
 * it is tried again in a minute. */
int log_file_error(void);
