#include "common/base/err.h"

#include <stdint.h>

/* Slugs are made from the names when the process starts, so the table states each name once. */
enum { SLUG_MAX = 32 };

static char slugs[ERR_COUNT][SLUG_MAX];

static struct err_info table[ERR_COUNT] = {
#define ERR(name_, status_, fate_, level_, title_) \
    [ERR_##name_] = {.name = #name_,               \
                     .slug = slugs[ERR_##name_],   \
                     .http_status = (status_),     \
                     .fate = FATE_##fate_,         \
                     .level = LOG_##level_,        \
                     .title = (title_)},
#include "common/base/err.def"
#undef ERR
};

__attribute__((constructor)) static void make_slugs(void)
{
    for (size_t i = 0; i < ERR_COUNT; i++) {
        const char *name = table[i].name;
        for (size_t c = 0; name[c] && c < SLUG_MAX - 1; c++)
            slugs[i][c] = name[c] == '_' ? '-' : (char)(name[c] | 0x20);
    }
}

const struct err_info *err_info(enum err err)
{
    return &table[(unsigned)err < ERR_COUNT ? err : ERR_INTERNAL];
}

enum err err_from_slug(const char *slug, size_t len)
{
    for (size_t i = 0; i < ERR_COUNT; i++)
        if (slice_equal(slice_of(slugs[i]), (struct slice){slug, len}))
            return (enum err)i;
    return ERR_INTERNAL;
}
