#include "common/base/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    dev_t device;
    ino_t inode;
    int fd; /* of this process alone; -1: there is none */
} own = {.fd = -1};

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

static ssize_t write_line(const char *line, size_t len)
{
    struct stat state;
    if (fstat(STDERR_FILENO, &state))
        return -1;
    if (S_ISSOCK(state.st_mode))
        return send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (S_ISREG(state.st_mode))
        return write(STDERR_FILENO, line, len);
    return write_to_stream(&state, line, len);
}

bool log_output(const char *line, size_t len)
{
    int before = errno;
    bool is_full = write_line(line, len) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS);
    errno = before;
    return !is_full;
}
