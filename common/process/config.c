#include "common/process/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "common/base/amqp_url.h"
#include "common/base/database_url.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/log_file.h"
#include "common/base/network.h"
#include "common/base/origin.h"

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
    FILE *faults; /* where each is written, and the next is looked for; NULL: the first one ends it */
    unsigned fault_count;
};

/* What a fault in `why` leads to. */
static enum err fault(struct loading *loading)
{
    loading->fault_count++;
    if (!loading->faults)
        return ERR_BAD_REQUEST;
    fprintf(loading->faults, "%s\n", loading->why);
    return ERR_OK;
}

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

/* name: what the value was given under, the present name or an old one. place: where, such as " (line 3 of
 * /etc/cortex.conf)". */
static enum err set(struct loading *loading, const struct setting *s, const char *name, const char *text,
                    const char *place)
{
    if (is_text(s)) {
        const char **field = text_field(loading->config, s);
        free((void *)(uintptr_t)*field);
        *field = xstrdup(text);
        return ERR_OK;
    }
    int64_t value;
    if (!parse_number(s, text, &value)) {
        snprintf(loading->why, 256, "%s=%.60s is not a number%s%s.", name, text,
                 s->type == TYPE_BYTES ? " of bytes (such as 16k or 1m)" : "", place);
        return fault(loading);
    }
    if (value < s->minimum || value > s->maximum) {
        snprintf(loading->why, 256, "%s=%.60s must lie between %" PRId64 " and %" PRId64 "%s.", name, text,
                 s->minimum, s->maximum, place);
        return fault(loading);
    }
    *number_field(loading->config, s) = value;
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
static enum err apply(struct loading *loading, const char *name, const char *text, const char *place)
{
    const struct renamed *old = find_renamed(name);
    const struct setting *s = find(old ? old->name : name);
    if (!old)
        loading->is_set[s - settings] = true;
    else
        loading->config->old_names |= UINT64_C(1) << (old - renamed);
    if (old && loading->is_set[s - settings])
        return ERR_OK;
    return set(loading, s, name, text, place);
}

#define BOM "\xef\xbb\xbf" /* some editors begin a file with it */

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
    line = trim(line + (number == 1 && strncmp(line, BOM, sizeof(BOM) - 1) == 0 ? sizeof(BOM) - 1 : 0));
    if (*line == '\0' || *line == '#')
        return ERR_OK;
    char *equals = strchr(line, '=');
    if (!equals) {
        snprintf(loading->why, 256, "%.100s line %d is not NAME=value.", path, number);
        return fault(loading);
    }
    *equals = '\0';
    const char *name = trim(line);
    if (!is_known(name)) {
        const char *meant = config_nearest(name);
        snprintf(loading->why, 256, "%.100s line %d: there is no setting %.60s%s%s.", path, number, name,
                 meant ? "; the nearest is " : "", meant ? meant : "");
        return fault(loading);
    }
    char place[128];
    snprintf(place, sizeof(place), " (%.100s line %d)", path, number);
    return apply(loading, name, trim(equals + 1), place);
}

static enum err apply_file(struct loading *loading, const char *path)
{
    FILE *file = file_open(path);
    if (!file) {
        snprintf(loading->why, 256, "CORTEX_CONFIG=%.100s cannot be read: %s.", path, strerror(errno));
        return fault(loading);
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
    return text ? apply(loading, name, text, " (the environment)") : ERR_OK;
}

static enum err apply_all(struct loading *loading)
{
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < ARRAY_LEN(settings); i++)
        err = set(loading, &settings[i], settings[i].name, settings[i].fallback, "");
    const char *path = getenv("CORTEX_CONFIG");
    if (err == ERR_OK && path && *path)
        err = apply_file(loading, path);
    for (size_t i = 0; err == ERR_OK && i < ARRAY_LEN(settings); i++)
        err = apply_variable(loading, settings[i].name);
    for (size_t i = 0; err == ERR_OK && i < ARRAY_LEN(renamed); i++)
        err = apply_variable(loading, renamed[i].old_name);
    return err;
}

static enum err check_log_level(struct loading *loading)
{
    enum log_level level;
    if (log_level_parse(loading->config->log_level, &level))
        return ERR_OK;
    snprintf(loading->why, 256, "CORTEX_LOG_LEVEL=%.60s must be debug, info, warn or error.",
             loading->config->log_level);
    return fault(loading);
}

/* A list of origins with an entry that no browser's Origin can equal lets nobody in, and nobody sees why. */
static enum err check_origins(struct loading *loading)
{
    char origin[ORIGIN_SIZE];
    size_t count = 0;
    struct slice list = slice_of(loading->config->cors_origins);
    for (struct slice entry; (entry = origin_next(&list)).data; count++) {
        struct slice normal = origin_normalize(entry, origin);
        if (!slice_is(entry, "*") && (!normal.data || !origin_is_of_pages(normal))) {
            snprintf(loading->why, 256,
                     "CORTEX_CORS_ORIGINS: \"%.*s\" is no origin. It must be a scheme, a host and, where it "
                     "is not "
                     "the scheme's own, a port, as in https://app.example:8443, or *.",
                     (int)(entry.len < 80 ? entry.len : 80), entry.data);
            return fault(loading);
        }
    }
    if (count > 0 || !loading->config->cors_origins[0])
        return ERR_OK;
    snprintf(loading->why, 256, "CORTEX_CORS_ORIGINS=%.60s names no origin.", loading->config->cors_origins);
    return fault(loading);
}

/* A list of networks, such as "10.0.0.0/8 ::1". */
static enum err check_networks(struct loading *loading, const char *name, const char *networks)
{
    struct slice list = slice_of(networks);
    for (struct slice entry; (entry = origin_next(&list)).data;)
        if (!network_is_valid(entry)) {
            snprintf(loading->why, 256,
                     "%s: \"%.*s\" is neither an address nor a network such as 10.0.0.0/8 or fd00::/8.", name,
                     (int)(entry.len < 80 ? entry.len : 80), entry.data);
            return fault(loading);
        }
    return ERR_OK;
}

static enum err check_amqp_url(struct loading *loading)
{
    struct amqp_url *urls = NULL;
    size_t count = 0;
    char reason[256];
    if (amqp_urls_parse(loading->config->amqp_url, &urls, &count, reason)) {
        amqp_urls_free(urls, count);
        return ERR_OK;
    }
    snprintf(loading->why, 256,
             "CORTEX_AMQP_URL, %.180s (amqp://user:password@host:port/vhost?heartbeat=30).", reason);
    return fault(loading);
}

/* Empty: the process needs none, or says itself that it does. */
static enum err check_database_url(struct loading *loading, const char *name, const char *url)
{
    char reason[256];
    if (!*url || database_url_check(url, reason))
        return ERR_OK;
    snprintf(loading->why, 256, "%s, %.140s (postgresql://user:password@host:port/name).", name, reason);
    return fault(loading);
}

static enum err load(struct loading *loading)
{
    *loading->config = (struct config){0};
    enum err err = apply_all(loading);
    if (err == ERR_OK)
        err = check_log_level(loading);
    if (err == ERR_OK)
        err = check_amqp_url(loading);
    if (err == ERR_OK)
        err = check_database_url(loading, "CORTEX_DATABASE_URL", loading->config->database_url);
    if (err == ERR_OK)
        err = check_database_url(loading, "CORTEX_READ_DATABASE_URL", loading->config->read_database_url);
    if (err == ERR_OK)
        err = check_origins(loading);
    if (err == ERR_OK)
        err = check_networks(loading, "CORTEX_PROXIES", loading->config->proxies);
    if (err == ERR_OK)
        err = check_networks(loading, "CORTEX_WEBHOOK_ALLOW", loading->config->webhook_allow);
    if (loading->fault_count > 0)
        config_done(loading->config);
    return loading->fault_count > 0 ? ERR_BAD_REQUEST : err;
}

enum err config_load(struct config *config, char why[256])
{
    return load(&(struct loading){.config = config, .why = why});
}

/* ---- names that nobody knows ---- */

/* The next variable of the environment that looks like a setting and is none; NULL past the last. */
static const char *next_unknown(char ***variable, char name[CONFIG_NAME_SIZE])
{
    for (; **variable; ++*variable) {
        const char *text = **variable, *equals = strchr(text, '=');
        size_t len = equals ? (size_t)(equals - text) : 0;
        if (strncasecmp(text, "CORTEX_", 7) != 0 || len == 0 || len >= CONFIG_NAME_SIZE)
            continue;
        memcpy(name, text, len);
        name[len] = '\0';
        if (strcmp(name, "CORTEX_CONFIG") == 0 || is_known(name))
            continue;
        ++*variable;
        return name;
    }
    return NULL;
}

void config_warn_unknown(void)
{
    char **variable = environ, name[CONFIG_NAME_SIZE];
    while (next_unknown(&variable, name)) {
        const char *meant = config_nearest(name);
        log_warn("config.unknown", LOG_S("name", name), LOG_S("nearest", meant ? meant : ""),
                 LOG_S("hint", "the environment sets it, and there is no such setting"));
    }
}

enum err config_check(struct config *config, FILE *out)
{
    char why[256], **variable = environ, name[CONFIG_NAME_SIZE];
    struct loading loading = {.config = config, .why = why, .faults = out};
    enum err err = load(&loading);
    while (next_unknown(&variable, name)) {
        const char *meant = config_nearest(name);
        if (!meant)
            continue; /* perhaps another program's */
        fprintf(out, "There is no setting %s (the environment); the nearest is %s.\n", name, meant);
        if (err == ERR_OK)
            config_done(config);
        err = ERR_BAD_REQUEST;
    }
    return err;
}

/* The edits (a character more, less or another) from one name, however its letters are written, to the other; more than `most` is most + 1. */
static int edits(const char *from, const char *to, int most)
{
    int row[CONFIG_NAME_SIZE + 1];
    size_t from_len = strlen(from), to_len = strlen(to);
    if (from_len > CONFIG_NAME_SIZE || to_len > CONFIG_NAME_SIZE)
        return most + 1;
    for (size_t j = 0; j <= to_len; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= from_len; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= to_len; j++) {
            int above = row[j], best = diagonal + (toupper((unsigned char)from[i - 1]) != to[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[to_len] < most + 1 ? row[to_len] : most + 1;
}

const char *config_nearest(const char *name)
{
    enum { MOST = 3 };
    const char *nearest = NULL;
    int least = MOST + 1;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        int distance = edits(name, settings[i].name, MOST);
        if (distance < least) {
            least = distance;
            nearest = settings[i].name;
        }
    }
    return nearest;
}

enum log_level config_log_level(const struct config *config)
{
    enum log_level level = LOG_INFO;
    (void)log_level_parse(config->log_level, &level); /* config_load has checked it */
    return level;
}

void config_apply_to_log(const struct config *config)
{
    log_threshold = config_log_level(config);
    log_limit(config->log_per_s);
    log_access_limit(config->access_log_per_s);
    log_file_set_max(config->log_file_bytes);
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
