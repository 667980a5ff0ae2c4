#pragma once
/* Messages to a service manager (systemd, Type=notify) by the protocol of sd_notify(3), over the socket that
 * NOTIFY_SOCKET names. Without this variable every call does nothing. No call ever waits. Only service.c
 * names libsystemd. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/macros.h"

/* Takes NOTIFY_SOCKET and WATCHDOG_USEC out of the environment, so that a child does not speak for the
 * service. Each child calls it; the parent makes the calls below. */
void service_leave_to_parent(void);

bool service_ready(void);     /* false: the manager did not take it; say it again later */
void service_reloading(void); /* service_ready ends it */
void service_stopping(void);
void service_status(const char *format, ...) PRINTF_LIKE(1, 2); /* one line, shown by `systemctl status` */
void service_failed(const char *status, int error); /* why the service is about to exit by itself */

/* Returns the milliseconds within which the watchdog wants to be fed; 0: it does not watch this process. */
int64_t service_watchdog_ms(void);
void service_feed_watchdog(void);
