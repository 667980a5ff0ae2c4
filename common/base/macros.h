#pragma once
/* Small language helpers that the whole tree uses. */

#include <stddef.h>
#include <stdlib.h>

#define MUST_CHECK                      __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)               __attribute__((format(printf, f, a)))
#define CLEANUP(fn)                     __attribute__((cleanup(fn)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Takes away what a CLEANUP variable owns: yields its value and leaves NULL behind. */
#define TAKE(ptr)                      \
    ({                                 \
        __typeof__(ptr) take_ = (ptr); \
        (ptr) = NULL;                  \
        take_;                         \
    })

/* Memory without which a process cannot go on: these return it, or end the process with a line on standard
 * error. */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *ptr, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));

static inline void cleanup_free(void *ptr)
{
    free(*(void **)ptr);
}
#define CLEANUP_FREE CLEANUP(cleanup_free)

/* The value of a macro as a string literal. */
#define TEXT_OF(macro) TEXT_OF_(macro)
#define TEXT_OF_(text) #text
