/* fatal.so, to be preloaded into a worker: a process that sends a statement whose parameters hold the text of
 * CORTEX_TEST_FATAL dies at that moment, as of a bug in the handler of that command. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct pg_conn PGconn; /* libpq-fe.h */

int PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
                        const int *lengths, const int *formats, int result_format);

static int is_fatal(int count, const char *const *values)
{
    const char *text = getenv("CORTEX_TEST_FATAL");
    for (int i = 0; text && i < count; i++)
        if (values[i] && strstr(values[i], text))
            return 1;
    return 0;
}

int PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
                        const int *lengths, const int *formats, int result_format)
{
    static int (*real)(PGconn *, const char *, int, const char *const *, const int *, const int *, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "PQsendQueryPrepared");
    if (is_fatal(count, values))
        raise(SIGKILL);
    return real(conn, name, count, values, lengths, formats, result_format);
}
