#pragma once
/* The parent of the gateway's processes. It makes the sockets, starts a process for each of them, starts anew
 * what dies or what does not turn any more (stuck_ms), tells the service manager, and passes on the wish to
 * leave. It serves nobody itself.
 *
 *   SIGTERM, SIGINT: the processes drain; once more: they are killed.
 *   SIGHUP: the settings are read anew, and the processes replaced by new ones, one at a time. The new one accepts from the
 *           same socket before the old one leaves, so no connection finds the door closed.
 *
 * READY=1 goes out when all processes can do their work for the first time, and after a SIGHUP when nobody is
 * replaced any more. The watchdog is fed as long as every loop turns. */

/* Reads the settings and runs until everybody has left; in a child, until that has. Returns the exit
 * status. */
int parent_run(void);
