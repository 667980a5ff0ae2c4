#include "common/service.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "common/clock.h"

enum { STATUS_MAX = 200 };

void service_leave_to_parent(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void service_ready(void)
{
    sd_notify(0, "READY=1");
}

/* MONOTONIC_USEC is what Type=notify-reload asks for beside it. */
void service_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
}

void service_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void service_status(const char *format, ...)
{
    char text[STATUS_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    sd_notifyf(0, "STATUS=%s", text);
}

void service_failed(const char *status, int error)
{
    sd_notifyf(0, "STATUS=%s\nERRNO=%d", status, error);
}

int64_t service_watchdog_ms(void)
{
    uint64_t interval_us;
    return sd_watchdog_enabled(0, &interval_us) > 0 ? (int64_t)(interval_us / 1000) : 0;
}

void service_feed_watchdog(void)
{
    sd_notify(0, "WATCHDOG=1");
}
