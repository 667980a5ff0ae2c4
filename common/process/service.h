#pragma once
/* What a service manager (systemd, Type=notify) is told, by the protocol of sd_notify(3) over the socket that NOTIFY_SOCKET
 * names. Without one every call does nothing, and none ever waits. libsystemd is named here and nowhere else. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/macros.h"

/* Children are not to speak for the service: takes NOTIFY_SOCKET and WATCHDOG_USEC out of the environment. Call
 * in each child; the parent goes on with the calls below. */
void service_leave_to_parent(void);

bool service_ready(void);     /* false: it was not taken, say it again */
void service_reloading(void); /* ends with service_ready */
void service_stopping(void);
void service_status(const char *format, ...) PRINTF_LIKE(1, 2); /* one line, shown by `systemctl status` */
void service_failed(const char *status, int error);             /* why it is about to leave by itself */

/* How often the watchdog wants to be fed, in milliseconds; 0: it does not watch this process. */
int64_t service_watchdog_ms(void);
void service_feed_watchdog(void);
