#pragma once
/* The settings of config.def as a struct. config_load fills it from the defaults, then from the file that
 * CORTEX_CONFIG names (NAME=value lines, # comments), then from the environment; the later source wins. A
 * setting may also be given by its old name (CONFIG_RENAMED), whose value counts only where the new name is
 * nowhere set. */

#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/log.h"

enum { CONFIG_NAME_SIZE = 128 };

struct config {
    uint64_t old_names; /* that were found set: bit i is row i of CONFIG_RENAMED */
#define CONFIG_STRING                                                      const char *
#define CONFIG_SECRET                                                      const char *
#define CONFIG_INT                                                         int64_t
#define CONFIG_BYTES                                                       int64_t
#define CONFIG_MS                                                          int64_t
#define CONFIG(field, type, environment, fallback, minimum, maximum, text) CONFIG_##type field;
#include "common/process/config.def"
};

/* Fills `config`. Where a value does not parse or is out of bounds, or the file has an unknown name, writes
 * one sentence that names the setting into `why` and returns ERR_BAD_REQUEST. Strings live until
 * config_done. */
enum err config_load(struct config *config, char why[256]) MUST_CHECK;
/* The same, but writes every fault, a line each: also the variables of the environment whose names begin with
 * CORTEX_ and are nearly those of a setting. */
enum err config_check(struct config *config, FILE *out) MUST_CHECK;
void config_done(struct config *config);

/* CORTEX_LOG_LEVEL of settings that config_load has filled in. */
enum log_level config_log_level(const struct config *config);
/* What the settings say of the log is in force from now on. */
void config_apply_to_log(const struct config *config);

/* Logs one warning for each old name that config_load found set. A process calls it once, after log_init. */
void config_warn_renamed(const struct config *config);

/* Logs a warning for each variable of the environment whose name begins with CORTEX_ and that is no setting.
 * A process calls it once, after log_init. */
void config_warn_unknown(void);
/* The setting whose name differs in at most three characters; NULL: none. */
const char *config_nearest(const char *name);

/* Prints the values in use, secrets as "***". */
void config_print(const struct config *config, FILE *out);

/* Prints name, default and text of every setting: one line for each setting, under the headings of their
 * groups. */
void config_print_help(FILE *out);
/* Prints the same, with types and bounds, as the Markdown page deploy/settings.md. */
void config_print_page(FILE *out);
