#include "common/process/config.h"

#include <errno.h>
#include <inttypes.h>

enum setting_type { TYPE_STRING, TYPE_SECRET, TYPE_INT, TYPE_BYTES, TYPE_MS };

struct setting {
    const char *name; /* in the environment and in the file */
    enum setting_type type;
    size_t offset; /* of its field */
    const char *fallback;
    int64_t minimum, maximum; /* of numbers */
    const char *doc;
};

static const struct setting settings[] = {
#define CONFIG(field, type_, name_, fallback_, minimum_, maximum_, doc_) \
    {.name = (name_),                                                    \
     .type = TYPE_##type_,                                               \
     .offset = offsetof(struct config, field),                           \
     .fallback = (fallback_),                                            \
     .minimum = (minimum_),                                              \
     .maximum = (maximum_),                                              \
     .doc = (doc_)},
#include "common/process/config.def"
#undef CONFIG
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

static enum err set(struct config *config, const struct setting *s, const char *text, char why[256])
{
    if (is_text(s)) {
        const char **field = text_field(config, s);
        free((void *)(uintptr_t)*field);
        *field = xstrdup(text);
        return ERR_OK;
    }
    int64_t value;
    if (!parse_number(s, text, &value)) {
        snprintf(why, 256, "%s=%.60s is not a number%s.", s->name, text,
                 s->type == TYPE_BYTES ? " of bytes (such as 16k or 1m)" : "");
        return ERR_BAD_REQUEST;
    }
    if (value < s->minimum || value > s->maximum) {
        snprintf(why, 256, "%s=%.60s must lie between %" PRId64 " and %" PRId64 ".", s->name, text,
                 s->minimum, s->maximum);
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

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        text[--len] = '\0';
    return text;
}

static enum err apply_line(struct config *config, const char *path, int number, char *line, char why[256])
{
    line = trim(line);
    if (*line == '\0' || *line == '#')
        return ERR_OK;
    char *equals = strchr(line, '=');
    if (!equals) {
        snprintf(why, 256, "%.100s line %d is not NAME=value.", path, number);
        return ERR_BAD_REQUEST;
    }
    *equals = '\0';
    const struct setting *s = find(trim(line));
    if (!s) {
        snprintf(why, 256, "%.100s line %d: there is no setting %.60s.", path, number, line);
        return ERR_BAD_REQUEST;
    }
    return set(config, s, trim(equals + 1), why);
}

static enum err apply_file(struct config *config, const char *path, char why[256])
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(why, 256, "CORTEX_CONFIG=%.100s cannot be read: %s.", path, strerror(errno));
        return ERR_BAD_REQUEST;
    }
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    enum err err = ERR_OK;
    for (int number = 1; err == ERR_OK && getline(&line, &size, file) >= 0; number++)
        err = apply_line(config, path, number, line, why);
    fclose(file);
    return err;
}

static enum err apply_all(struct config *config, char why[256])
{
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < ARRAY_LEN(settings); i++)
        err = set(config, &settings[i], settings[i].fallback, why);
    const char *path = getenv("CORTEX_CONFIG");
    if (err == ERR_OK && path && *path)
        err = apply_file(config, path, why);
    for (size_t i = 0; err == ERR_OK && i < ARRAY_LEN(settings); i++) {
        const char *text = getenv(settings[i].name);
        if (text)
            err = set(config, &settings[i], text, why);
    }
    return err;
}

enum err config_load(struct config *config, char why[256])
{
    *config = (struct config){0};
    enum err err = apply_all(config, why);
    if (err != ERR_OK)
        config_done(config);
    return err;
}

void config_done(struct config *config)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (is_text(&settings[i]))
            free((void *)(uintptr_t)*text_field(config, &settings[i]));
    }
    *config = (struct config){0};
}

void config_print_help(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        fprintf(out, "%-30s %-12s %s\n", settings[i].name,
                settings[i].type == TYPE_SECRET ? "-"
                : *settings[i].fallback         ? settings[i].fallback
                                                : "\"\"",
                settings[i].doc);
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
