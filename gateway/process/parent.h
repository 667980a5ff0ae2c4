#pragma once
/* The parent of the gateway's processes. It makes the sockets, starts a process for each of them, starts
 * another one for a process that dies or whose loop does not turn (stuck_ms), tells the service manager, and
 * passes on the signal to leave. It serves no client itself.
 *
 *   SIGTERM, SIGINT: the processes drain. A second signal kills them.
 *   SIGHUP: the settings are read again, and the processes are replaced one at a time. The new process accepts from the same
 *           socket before the old one leaves, so no connection is refused.
 *
 * READY=1 goes out when all processes are ready for the first time, and after a SIGHUP when no process is
 * being replaced any more. The watchdog is fed as long as every loop turns. */

/* Reads the settings and runs until every process has left. Returns the exit status. */
int parent_run(void);
