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

enum { BYTEA = 17, ELEMENT_AT = 8 };

/* Of an array in the binary form, the type of its elements follows two numbers of 32 bits. A body, which is bytea, is only
 * kept by the statement. */
static int is_of_bodies(const char *array, size_t len)
{
    const unsigned char type[] = {0, 0, 0, BYTEA};
    return len >= ELEMENT_AT + sizeof(type) && memcmp(array + ELEMENT_AT, type, sizeof(type)) == 0;
}

static int holds(const char *value, size_t len, const char *text)
{
    return memmem(value, len, text, strlen(text)) != NULL;
}

static int is_fatal(int count, const char *const *values, const int *lengths, const int *formats)
{
    const char *text = getenv("CORTEX_TEST_FATAL");
    for (int i = 0; text && i < count; i++) {
        if (!values[i])
            continue;
        int is_binary = formats && formats[i];
        size_t len = is_binary ? (size_t)lengths[i] : strlen(values[i]);
        if (holds(values[i], len, text) && !(is_binary && is_of_bodies(values[i], len)))
            return 1;
    }
    return 0;
}

int PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
                        const int *lengths, const int *formats, int result_format)
{
    static int (*real)(PGconn *, const char *, int, const char *const *, const int *, const int *, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "PQsendQueryPrepared");
    if (is_fatal(count, values, lengths, formats))
        raise(SIGKILL);
    return real(conn, name, count, values, lengths, formats, result_format);
}
