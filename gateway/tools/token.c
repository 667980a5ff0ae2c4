/* cortex-token --company C --role R --user U [--ttl SECONDS]: prints a bearer token signed with the HS256
 * secret that the gateway's settings name (CORTEX_AUTH_HS256_FILE, or CORTEX_CONFIG). */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/crypto/token.h"
#include "common/msg/rights.h"
#include "common/process/config.h"

enum { TTL_DEFAULT_S = 24 * 60 * 60 };

static int usage(void)
{
    fputs("usage: cortex-token --company UUID --role ROLE --user UUID [--ttl SECONDS]\n", stderr);
    return 2;
}

static int complain(const char *sentence)
{
    fprintf(stderr, "cortex-token: %s\n", sentence);
    return 1;
}

static bool parse_ttl(const char *text, int64_t *ret_seconds)
{
    char *end;
    errno = 0;
    *ret_seconds = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

static bool take_option(int option, const char *value, struct identity *identity, int64_t *ttl_s)
{
    switch (option) {
    case 'c':
        return uuid_parse(slice_of(value), &identity->company);
    case 'u':
        return uuid_parse(slice_of(value), &identity->user);
    case 'r':
        return snprintf(identity->role, sizeof(identity->role), "%s", value) < (int)sizeof(identity->role);
    case 't':
        return parse_ttl(value, ttl_s);
    default:
        return false;
    }
}

static int refuse_role(const char *role)
{
    fprintf(stderr, "cortex-token: there is no role \"%s\"; the roles are %s.\n", role, msg_role_list());
    return 2;
}

/* A token that no gateway with these settings takes is not printed. */
static int refuse_life(int64_t max_s)
{
    fprintf(stderr, "cortex-token: --ttl must be from 1 to %" PRId64 " seconds (CORTEX_AUTH_MAX_LIFE_MS).\n",
            max_s);
    return 2;
}

static int print_token(const struct identity *identity)
{
    struct config config;
    struct token_keys *keys = NULL;
    char why[256];
    char text[1024];

    if (config_load(&config, why) != ERR_OK)
        return complain(why);
    int64_t ttl_s = identity->expires_at - identity->issued_at, max_s = config.auth_max_life_ms / 1000;
    if (ttl_s < 1 || ttl_s > max_s) {
        config_done(&config);
        return refuse_life(max_s);
    }
    enum err err = token_keys_load(&config, &keys, why);
    if (err == ERR_OK) {
        err = token_sign(keys, identity, text, sizeof(text));
        snprintf(why, sizeof(why), "There is no HS256 secret to sign with.");
        token_keys_free(keys);
    }
    config_done(&config);
    if (err != ERR_OK)
        return complain(why);
    puts(text);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"company", required_argument, NULL, 'c'},
        {"role", required_argument, NULL, 'r'},
        {"user", required_argument, NULL, 'u'},
        {"ttl", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    struct identity identity = {.role = ""};
    int64_t ttl_s = TTL_DEFAULT_S;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return usage();
        if (!take_option(option, optarg, &identity, &ttl_s)) {
            fprintf(stderr, "cortex-token: \"%s\" is not a valid value of its option.\n", optarg);
            return usage();
        }
    }
    if (optind != argc || identity.role[0] == '\0')
        return usage();
    if (msg_role_by_name(slice_of(identity.role)) == MSG_ROLE_UNKNOWN)
        return refuse_role(identity.role);
    identity.issued_at = clock_wall_ms() / 1000;
    if (__builtin_add_overflow(identity.issued_at, ttl_s, &identity.expires_at))
        identity.expires_at = INT64_MAX;
    return print_token(&identity);
}
