/* The command line of cortex-gateway. It starts the parent (process/parent.h), which starts the gateway
 * processes. */

#include <getopt.h>
#include <stdio.h>

#include "common/process/config.h"
#include "gateway/process/check.h"
#include "gateway/process/parent.h"

int main(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},
                                            {"help-config", no_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"check-broker", no_argument, NULL, 'b'},
                                            {"check-queues", no_argument, NULL, 'q'},
                                            {"version", no_argument, NULL, 'v'},
                                            {0}};
    int option = getopt_long(argc, argv, "", options, NULL);
    if (option == -1 && optind == argc)
        return parent_run();
    if (option == 'v') {
        puts("cortex-gateway " CORTEX_VERSION);
        return 0;
    }
    if (option == 'c') {
        config_print_help(stdout);
        return 0;
    }
    if (option == 'k' || option == 'b' || option == 'q')
        return check_run(option == 'k' ? CHECK_SETTINGS : option == 'b' ? CHECK_BROKER : CHECK_QUEUES);
    fputs("usage: cortex-gateway [--help-config | --check | --check-broker | --check-queues | --version]\n"
          "Settings come from the environment and from the file that CORTEX_CONFIG names.\n",
          option == 'h' ? stdout : stderr);
    return option == 'h' ? 0 : 2;
}
