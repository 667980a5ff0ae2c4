#pragma once
/* The command line of a measuring program as a table, which parses it and explains it. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/macros.h"

enum { FLAG_LIST_MAX = 16 };

/* One of the four targets is set; it keeps its value when the flag is not given. */
struct flag {
    const char *name;  /* without the dashes; NULL ends the table */
    const char *value; /* what stands for the value in the explanation; NULL: a switch */
    const char *doc;
    const char **text;
    int64_t *number;
    const char **list; /* FLAG_LIST_MAX + 1 places, NULL-terminated: may be given several times */
    bool *on;
};

/* Ends the process: with the explanation at --help, with a sentence at anything that is not understood. */
void flags_parse(int argc, char **argv, const struct flag *flags, const char *what_it_does);
