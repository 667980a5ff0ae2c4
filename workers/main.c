/* cortex-worker <pool> runs the commands of one pool. --help-config lists its settings
 * (common/process/config.def). */

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/broker/topology.h"
#include "common/process/config.h"
#include "workers/engine/worker.h"
#include "workers/fleet/pool/pool.h"

enum { TITLE_SIZE = 64 };

/* ps and pgrep read the title from where the arguments were, so it is cut to their length. */
static void set_title(int argc, char **argv, const char *title)
{
    char *end = argv[argc - 1] + strlen(argv[argc - 1]);
    size_t room = (size_t)(end - argv[0]);
    memset(argv[0], 0, room);
    memcpy(argv[0], title, strlen(title) < room ? strlen(title) : room);
    prctl(PR_SET_NAME, "cortex-worker");
}

static int usage(FILE *out, int status)
{
    fprintf(out, "usage: cortex-worker POOL\n"
                 "       cortex-worker --help-config\n"
                 "       cortex-worker --version\n");
    return status;
}

static bool is_pool(const char *name)
{
    const char *pool;
    for (size_t i = 0; (pool = topology_pool_at(i)); i++)
        if (strcmp(pool, name) == 0)
            return true;
    return false;
}

static int run_pool(int argc, char **argv, const struct config *config)
{
    static char pool[TITLE_SIZE - 16], title[TITLE_SIZE], log_name[TITLE_SIZE];
    snprintf(pool, sizeof(pool), "%s", argv[1]);
    snprintf(title, sizeof(title), "cortex-worker %s", pool);
    snprintf(log_name, sizeof(log_name), "worker.%s", pool);
    set_title(argc, argv, title);
    log_init(log_name, config_log_level(config));
    config_apply_to_log(config);
    config_warn_renamed(config);
    config_warn_unknown();
    return pool_run(config, pool, worker_run);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return usage(stderr, EXIT_FAILURE);
    if (strcmp(argv[1], "--help") == 0)
        return usage(stdout, EXIT_SUCCESS);
    if (strcmp(argv[1], "--help-config") == 0) {
        config_print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("cortex-worker " CORTEX_VERSION);
        return EXIT_SUCCESS;
    }
    if (!is_pool(argv[1])) {
        fprintf(stderr, "cortex-worker: there is no pool %s\n", argv[1]);
        return EXIT_FAILURE;
    }
    struct config config;
    char why[256];
    if (config_load(&config, why) != ERR_OK) {
        fprintf(stderr, "cortex-worker: %s\n", why);
        return EXIT_FAILURE;
    }
    int status = run_pool(argc, argv, &config);
    config_done(&config);
    return status;
}
