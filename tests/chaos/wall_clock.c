/* wall_clock.so, to be preloaded into a program: its wall clock is ahead of the machine's by the seconds that the file
 * CORTEX_TEST_CLOCK begins with, a signed number of 8 octets that the test changes while the program runs. Its monotonic clock
 * stays the kernel's. (libfaketime does not go with AddressSanitizer.) */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

/* Until then, and without the file: no difference. */
__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("CORTEX_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        ahead = map;
    close(fd);
}

/* Past libc, whose functions these replace. */
int clock_gettime(clockid_t id, struct timespec *at)
{
    long failed = syscall(SYS_clock_gettime, id, at);
    if (!failed && ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += *ahead;
    return (int)failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *at = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
