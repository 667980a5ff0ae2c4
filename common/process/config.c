#include "common/process/config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "common/base/log.h"

enum setting_type { TYPE_STRING, TYPE_SECRET, TYPE_INT, TYPE_BYTES, TYPE_MS };

struct setting {
    const char *name; /* in the environment and in the file */
    enum setting_type type;
    size_t offset; /* of its field */
    const char *fallback;
    int64_t minimum, maximum; /* of numbers */
};

static const struct setting settings[] = {
#define CONFIG(field, type_, name_, fallback_, minimum_, maximum_, text) \
    {.name = (name_),                                                    \
     .type = TYPE_##type_,                                               \
     .offset = offsetof(struct config, field),                           \
     .fallback = (fallback_),                                            \
     .minimum = (minimum_),                                              \
     .maximum = (maximum_)},
#include "common/process/config.def"
};

static const struct renamed {
    const char *old_name, *name;
} renamed[] = {
#define CONFIG_RENAMED(old_name_, name_) {.old_name = (old_name_), .name = (name_)},
#include "common/process/config.def"
};

static_assert(ARRAY_LEN(renamed) <= 64, "config.old_names has a bit for each row");

/* config_load while it runs. */
struct loading {
    struct config *config;
    bool is_set[ARRAY_LEN(settings)]; /* by its present name */
    char *why;
};

static bool is_text(const struct setting *s)
{
    return s->type == TYPE_STRING || s->type == TYPE_SECRET;
}

static const char **text_field(const struct config *config, const struct setting *s)
{
    return (const char **)(void *)((char *)(uintptr_t)config + s->offset);
}

static int64_t *number_field(const struct config *config, const struct setting *s)
{
    return (int64_t *)(void *)((char *)(uintptr_t)config + s->offset);
}

/* 1024, 16k, 1m, 2g: binary multiples. */
static bool parse_number(const struct setting *s, const char *text, int64_t *ret_value)
{
    char *end;
    errno = 0;
    int64_t value = strtoll(text, &end, 10);
    if (end == text || errno)
        return false;
    int shift = 0;
    if (s->type == TYPE_BYTES && *end) {
        static const char suffixes[] = "kmg";
        const char *suffix = strchr(suffixes, *end | 0x20);
        if (!suffix)
            return false;
        shift = 10 * (int)(suffix - suffixes + 1);
        end++;
    }
    if (*end || value > INT64_MAX >> shift || value < 0)
        return false;
    *ret_value = value << shift;
    return true;
}

/* name: what the value was given under, the present name or an old one. */
static enum err set(struct config *config, const struct setting *s, const char *name, const char *text,
                    char why[256])
{
    if (is_text(s)) {
        const char **field = text_field(config, s);
        free((void *)(uintptr_t)*field);
        *field = xstrdup(text);
        return ERR_OK;
    }
    int64_t value;
    if (!parse_number(s, text, &value)) {
        snprintf(why, 256, "%s=%.60s is not a number%s.", name, text,
                 s->type == TYPE_BYTES ? " of bytes (such as 16k or 1m)" : "");
        return ERR_BAD_REQUEST;
    }
    if (value < s->minimum || value > s->maximum) {
        snprintf(why, 256, "%s=%.60s must lie between %" PRId64 " and %" PRId64 ".", name, text, s->minimum,
                 s->maximum);
        return ERR_BAD_REQUEST;
    }
    *number_field(config, s) = value;
    return ERR_OK;
}

static const struct setting *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

static const struct renamed *find_renamed(const char *old_name)
{
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (strcmp(renamed[i].old_name, old_name) == 0)
            return &renamed[i];
    return NULL;
}

/* Whether config.def knows the name. */
static bool is_known(const char *name)
{
    return find(name) || find_renamed(name);
}

/* Takes a value from the file or the environment, under a name that is known. */
static enum err apply(struct loading *loading, const char *name, const char *text)
{
    const struct renamed *old = find_renamed(name);
    const struct setting *s = find(old ? old->name : name);
    if (!old)
        loading->is_set[s - settings] = true;
    else
        loading->config->old_names |= UINT64_C(1) << (old - renamed);
    if (old && loading->is_set[s - settings])
        return ERR_OK;
    return set(loading->config, s, name, text, loading->why);
}

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        text[--len] = '\0';
    return text;
}

static enum err apply_line(struct loading *loading, const char *path, int number, char *line)
{
    line = trim(line);
    if (*line == '\0' || *line == '#')
        return ERR_OK;
    char *equals = strchr(line, '=');
    if (!equals) {
        snprintf(loading->why, 256, "%.100s line %d is not NAME=value.", path, number);
        return ERR_BAD_REQUEST;
    }
    *equals = '\0';
    const char *name = trim(line);
    if (!is_known(name)) {
        snprintf(loading->why, 256, "%.100s line %d: there is no setting %.60s.", path, number, name);
        return ERR_BAD_REQUEST;
    }
    return apply(loading, name, trim(equals + 1));
}

static enum err apply_file(struct loading *loading, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(loading->why, 256, "CORTEX_CONFIG=%.100s cannot be read: %s.", path, strerror(errno));
        return ERR_BAD_REQUEST;
    }
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    enum err err = ERR_OK;
    for (int number = 1; err == ERR_OK && getline(&line, &size, file) >= 0; number++)
        err = apply_line(loading, path, number, line);
    fclose(file);
    return err;
}

static enum err apply_variable(struct loading *loading, const char *name)
{
    const char *text = getenv(name);
    return text ? apply(loading, name, text) : ERR_OK;
}

static enum err apply_all(struct loading *loading)
{
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < ARRAY_LEN(settings); i++)
        err = set(loading->config, &settings[i], settings[i].name, settings[i].fallback, loading->why);
    const char *path = getenv("CORTEX_CONFIG");
    if (err == ERR_OK && path && *path)
        err = apply_file(loading, path);
    for (size_t i = 0; err == ERR_OK && i < ARRAY_LEN(settings); i++)
        err = apply_variable(loading, settings[i].name);
    for (size_t i = 0; err == ERR_OK && i < ARRAY_LEN(renamed); i++)
        err = apply_variable(loading, renamed[i].old_name);
    return err;
}

static enum err check_log_level(const struct config *config, char why[256])
{
    enum log_level level;
    if (log_level_parse(config->log_level, &level))
        return ERR_OK;
    snprintf(why, 256, "CORTEX_LOG_LEVEL=%.60s must be debug, info, warn or error.", config->log_level);
    return ERR_BAD_REQUEST;
}

enum err config_load(struct config *config, char why[256])
{
    *config = (struct config){0};
    struct loading loading = {.config = config, .why = why};
    enum err err = apply_all(&loading);
    if (err == ERR_OK)
        err = check_log_level(config, why);
    if (err != ERR_OK)
        config_done(config);
    return err;
}

enum log_level config_log_level(const struct config *config)
{
    enum log_level level = LOG_INFO;
    (void)log_level_parse(config->log_level, &level); /* config_load has checked it */
    return level;
}

void config_warn_renamed(const struct config *config)
{
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (config->old_names & UINT64_C(1) << i)
            log_warn("config.renamed", LOG_S("old", renamed[i].old_name), LOG_S("new", renamed[i].name),
                     LOG_S("hint", "the setting has a new name; the old one works for now"));
}

void config_done(struct config *config)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (is_text(&settings[i]))
            free((void *)(uintptr_t)*text_field(config, &settings[i]));
    }
    *config = (struct config){0};
}

void config_print(const struct config *config, FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct setting *s = &settings[i];
        if (s->type == TYPE_SECRET)
            fprintf(out, "%s=%s\n", s->name, **text_field(config, s) ? "***" : "");
        else if (s->type == TYPE_STRING)
            fprintf(out, "%s=%s\n", s->name, *text_field(config, s));
        else
            fprintf(out, "%s=%" PRId64 "\n", s->name, *number_field(config, s));
    }
}
