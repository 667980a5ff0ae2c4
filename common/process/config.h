#pragma once
/* The settings of config.def as a struct, filled from defaults, then the file named by CORTEX_CONFIG
 * (NAME=value lines, # comments), then the environment. The later source wins. */

#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"

struct config {
#define CONFIG_STRING                                                     const char *
#define CONFIG_SECRET                                                     const char *
#define CONFIG_INT                                                        int64_t
#define CONFIG_BYTES                                                      int64_t
#define CONFIG_MS                                                         int64_t
#define CONFIG(field, type, environment, fallback, minimum, maximum, doc) CONFIG_##type field;
#include "common/process/config.def"
#undef CONFIG
};

/* Fills `config`; on a value that does not parse or is out of bounds writes one sentence that names the setting
 * into `why` and returns ERR_BAD_REQUEST. Strings live until config_done. Unknown names in the file are errors. */
enum err config_load(struct config *config, char why[256]) MUST_CHECK;
void config_done(struct config *config);

/* One line per setting: name, default, what it is. */
void config_print_help(FILE *out);

/* The present values, secrets as "***". */
void config_print(const struct config *config, FILE *out);
