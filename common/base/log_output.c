#include "common/base/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log_file.h"

enum { LATER_MAX = 64 * 1024 };

static struct {
    dev_t device;
    ino_t inode;
    int fd; /* of this process alone; -1: there is none */
} own = {.fd = -1};

static struct {
    char text[LATER_MAX];
    size_t len;
    size_t lost; /* lines */
} later;

/* open takes the lowest number that is free, so one after the other becomes the one that is missing. */
void log_output_begin(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_RDONLY | O_NOCTTY : O_WRONLY | O_NOCTTY);
}

static bool is_own(const struct stat *state)
{
    return state->st_dev == own.device && state->st_ino == own.inode;
}

/* Returns a descriptor of this process alone for what standard error is; -1: it cannot be opened once more. A
 * descriptor from before may have been closed by somebody, and its number be another file's. */
static int own_descriptor(const struct stat *state)
{
    struct stat before;
    bool is_open = own.fd >= 0 && fstat(own.fd, &before) == 0 && is_own(&before);
    if (is_open && is_own(state))
        return own.fd;
    if (is_open)
        close(own.fd);
    own.fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    own.device = state->st_dev;
    own.inode = state->st_ino;
    return own.fd;
}

/* Without a descriptor of its own the process asks first whether there is room. It may still wait when another
 * process takes that room in between. */
static ssize_t write_to_stream(const struct stat *state, const char *line, size_t len)
{
    int fd = own_descriptor(state);
    struct pollfd standard = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (fd >= 0)
        return write(fd, line, len);
    if (poll(&standard, 1, 0) > 0)
        return write(STDERR_FILENO, line, len);
    errno = EAGAIN;
    return -1;
}

/* A disk that is full loses what was not written of it. */
static ssize_t write_to_file(const struct stat *state, const char *lines, size_t len)
{
    log_file_look(state);
    ssize_t n = write(STDERR_FILENO, lines, len);
    if (n >= 0 && (size_t)n < len)
        errno = ENOSPC;
    return (size_t)n == len ? n : -1;
}

static bool write_lines(const struct stat *state, const char *lines, size_t len)
{
    int before = errno;
    ssize_t n = S_ISREG(state->st_mode)    ? write_to_file(state, lines, len)
                : S_ISSOCK(state->st_mode) ? send(STDERR_FILENO, lines, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                           : write_to_stream(state, lines, len);
    bool is_lost = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOSPC ||
                             errno == EDQUOT);
    errno = before;
    return !is_lost;
}

bool log_output(const char *line, size_t len)
{
    struct stat state;
    log_output_flush();
    return fstat(STDERR_FILENO, &state) || write_lines(&state, line, len);
}

/* ---- lines that wait ---- */

static size_t count_lines(const char *lines, size_t len)
{
    size_t count = 0;
    for (const char *end = lines + len; (lines = memchr(lines, '\n', (size_t)(end - lines))); lines++)
        count++;
    return count;
}

/* Whole lines that a pipe takes as one. */
static size_t piece_of(const char *lines, size_t len)
{
    const char *end = len > PIPE_BUF ? memrchr(lines, '\n', PIPE_BUF) : NULL;
    return end ? (size_t)(end - lines) + 1 : len;
}

void log_output_flush(void)
{
    struct stat state;
    if (later.len == 0)
        return;
    size_t len = later.len;
    later.len = 0;
    if (fstat(STDERR_FILENO, &state))
        return;
    for (size_t at = 0, piece; at < len; at += piece) {
        piece = S_ISREG(state.st_mode) ? len - at : piece_of(later.text + at, len - at);
        if (!write_lines(&state, later.text + at, piece))
            later.lost += count_lines(later.text + at, piece);
    }
}

void log_output_later(const char *line, size_t len)
{
    if (later.len + len > sizeof(later.text))
        log_output_flush();
    memcpy(later.text + later.len, line, len);
    later.len += len;
}

bool log_output_waits(void)
{
    return later.len > 0;
}

size_t log_output_lost(void)
{
    size_t lost = later.lost;
    later.lost = 0;
    return lost;
}

void log_output_look(void)
{
    struct stat state;
    if (fstat(STDERR_FILENO, &state) == 0)
        log_file_look(&state);
}
