#include "common/base/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { SUFFIX_SIZE = 8, AGAIN_MS = 60000 };

static struct {
    int64_t max;
    int folder;          /* -1: standard error is no file whose name is known */
    char name[NAME_MAX]; /* in the folder */
    dev_t device;        /* of what standard error was when it had that name */
    ino_t inode;
    int64_t again_at_ms; /* after a failure; 0: there was none */
    int error;           /* of that failure, not reported yet */
} file = {.folder = -1};

static bool is_same(const struct stat *a, dev_t device, ino_t inode)
{
    return a->st_dev == device && a->st_ino == inode;
}

/* ---- its name ---- */

static void forget_name(void)
{
    if (file.folder >= 0)
        close(file.folder);
    file.folder = -1;
}

/* A process may be started with a file that others have renamed by then: "gateway.log.1" was "gateway.log". */
static void cut_number(char *name)
{
    size_t len = strlen(name);
    if (len > 2 && name[len - 2] == '.' && name[len - 1] >= '1' && name[len - 1] <= '0' + LOG_FILES_KEPT)
        name[len - 2] = '\0';
}

static void learn_name(const struct stat *state)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/fd/2", path, sizeof(path) - 1);
    forget_name();
    file.device = state->st_dev;
    file.inode = state->st_ino;
    if (len <= 0 || path[0] != '/' || state->st_nlink == 0)
        return;
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    if (strlen(slash + 1) + SUFFIX_SIZE > sizeof(file.name))
        return;
    snprintf(file.name, sizeof(file.name), "%s", slash + 1);
    cut_number(file.name);
    slash[slash == path] = '\0';
    file.folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void log_file_set_max(int64_t octets)
{
    struct stat state;
    file.max = octets;
    if (fstat(STDERR_FILENO, &state) == 0 && S_ISREG(state.st_mode) &&
        !(file.folder >= 0 && is_same(&state, file.device, file.inode)))
        learn_name(&state);
}

/* ---- when it is full ---- */

static void fail(void)
{
    file.error = errno;
    file.again_at_ms = clock_monotonic_ms() + AGAIN_MS;
}

int log_file_error(void)
{
    int error = file.error;
    file.error = 0;
    return error;
}

static void number_name(int number, char name[NAME_MAX])
{
    if (number == 0)
        snprintf(name, NAME_MAX, "%s", file.name);
    else
        snprintf(name, NAME_MAX, "%.*s.%d", (int)(NAME_MAX - SUFFIX_SIZE), file.name, number);
}

static void shift_numbers(void)
{
    char from[NAME_MAX], to[NAME_MAX];
    for (int number = LOG_FILES_KEPT; number > 1; number--) {
        number_name(number - 1, from);
        number_name(number, to);
        (void)renameat(file.folder, from, file.folder, to); /* there are not always so many */
    }
}

/* The new file is made before the full one goes, so that the name is never without a file for longer than between two
 * calls. Returns its descriptor; -1 on failure. */
static int make_new(mode_t mode)
{
    char first[NAME_MAX], new[NAME_MAX];
    number_name(1, first);
    snprintf(new, sizeof(new), "%.*s.new", (int)(sizeof(new) - SUFFIX_SIZE), file.name);
    int fd = openat(file.folder, new, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode & 0777);
    if (fd < 0)
        return -1;
    shift_numbers();
    if (renameat(file.folder, file.name, file.folder, first) == 0 &&
        renameat(file.folder, new, file.folder, file.name) == 0)
        return fd;
    int why = errno;
    unlinkat(file.folder, new, 0);
    close(fd);
    errno = why;
    return -1;
}

/* `fd` is the full file, which has the name still. Returns the descriptor of the new one; -1: another process renames
 * it now, or has just done so, or it failed. */
static int replace(int fd, const struct stat *full)
{
    struct stat now;
    if (flock(fd, LOCK_EX | LOCK_NB))
        return -1;
    if (fstatat(file.folder, file.name, &now, AT_SYMLINK_NOFOLLOW) ||
        !is_same(&now, full->st_dev, full->st_ino))
        return -1;
    int new = make_new(full->st_mode);
    if (new < 0)
        fail();
    return new;
}

/* Standard output is often the same file. */
static void take(int fd, const struct stat *full)
{
    struct stat output, now;
    if (fstat(STDOUT_FILENO, &output) == 0 && is_same(&output, full->st_dev, full->st_ino))
        (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    if (fstat(fd, &now))
        return;
    file.device = now.st_dev;
    file.inode = now.st_ino;
}

static void renew(const struct stat *full)
{
    struct stat named;
    int fd = openat(file.folder, file.name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT) /* it is between its two names */
            fail();
        return;
    }
    bool is_known = fstat(fd, &named) == 0 && S_ISREG(named.st_mode);
    int new = is_known &&is_same(&named, full->st_dev, full->st_ino) ? replace(fd, full) : -1;
    if (new >= 0)
        take(new, full);
    else if (is_known && !is_same(&named, full->st_dev, full->st_ino))
        take(fd, full);
    if (new >= 0)
        close(new);
    close(fd); /* and gives the lock back */
}

void log_file_look(const struct stat *state)
{
    if (file.max <= 0 || !S_ISREG(state->st_mode) || state->st_size < file.max)
        return;
    int before = errno;
    if (!is_same(state, file.device, file.inode))
        learn_name(state);
    if (file.folder >= 0 && (file.again_at_ms == 0 || clock_monotonic_ms() >= file.again_at_ms)) {
        file.again_at_ms = 0;
        renew(state);
    }
    errno = before;
}
