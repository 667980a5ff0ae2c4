#pragma once
/* Files that are read while a loop turns: settings, keys, time zones. */

#include <stdio.h>

/* Opens a regular file for reading. Returns NULL with errno for anything else (EINVAL), because whoever opens a
 * FIFO or a device, or reads it, may wait for ever. The caller closes it. A regular file may wait for its disk,
 * like the code of the process itself. */
FILE *file_open(const char *path);
