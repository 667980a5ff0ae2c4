#include "common/base/macros.h"

#include <string.h>

#include "common/base/log.h"

static void *checked(void *ptr, size_t size)
{
    if (!ptr) {
        log_error("memory.exhausted", LOG_I("bytes", size));
        abort();
    }
    return ptr;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1), size);
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *xrealloc(void *ptr, size_t size)
{
    return checked(realloc(ptr, size ? size : 1), size);
}

char *xstrdup(const char *text)
{
    return checked(strdup(text), strlen(text) + 1);
}
