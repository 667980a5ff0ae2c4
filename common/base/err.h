#pragma once
/* The table of failures (err.def) as an enum, and the facts of each failure. Functions that can fail return
 * `enum err` and are MUST_CHECK. ERR_OK is zero. */

#include "common/base/log.h"
#include "common/base/macros.h"

enum err {
#define ERR(name, status, fate, level, title) ERR_##name,
#include "common/base/err.def"
#undef ERR
    ERR_COUNT
};

enum err_fate { FATE_ACK, FATE_RETRY, FATE_DEAD };

struct err_info {
    const char *name; /* "VERSION_CONFLICT" */
    const char *slug; /* "version-conflict"; used in the problem type, the inbox and the event header */
    int http_status;
    enum err_fate fate;
    enum log_level level;
    const char *title;
};

/* Never returns NULL: an unknown value yields the row of ERR_INTERNAL. */
const struct err_info *err_info(enum err err);

/* Returns the error with this slug, or ERR_INTERNAL when there is none. */
enum err err_from_slug(const char *slug, size_t len);
