/* Prints the page of all settings, which `./cortex settings` keeps as deploy/settings.md. */

#include "common/process/config.h"

int main(void)
{
    config_print_page(stdout);
    return 0;
}
