#include "common/process/service.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { TEXT_MAX = 256 };

void service_leave_to_parent(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* Does what sd_notify(3) does. sd_notify itself waits when the service manager does not read, and then the
 * process that keeps the workers alive would wait too. A message that is not taken at once is dropped, and
 * the result is false. An address that begins with @ is abstract. */
static bool notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return true; /* nobody listens */
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    ssize_t n = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
    return n >= 0;
}

bool service_ready(void)
{
    return notify("READY=1");
}

/* Type=notify-reload asks for MONOTONIC_USEC beside RELOADING. */
void service_reloading(void)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
    notify(text);
}

void service_stopping(void)
{
    notify("STOPPING=1");
}

void service_status(const char *format, ...)
{
    char text[TEXT_MAX] = "STATUS=";
    size_t len = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + len, sizeof(text) - len, format, arguments);
    va_end(arguments);
    notify(text);
}

void service_failed(const char *status, int error)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof(text), "STATUS=%s\nERRNO=%d", status, error);
    notify(text);
}

int64_t service_watchdog_ms(void)
{
    uint64_t interval_us;
    return sd_watchdog_enabled(0, &interval_us) > 0 ? (int64_t)(interval_us / 1000) : 0;
}

void service_feed_watchdog(void)
{
    notify("WATCHDOG=1");
}
