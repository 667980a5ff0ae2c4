#pragma once
/* What a fuzz target finds wrong ends the run: libFuzzer keeps the input. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static inline void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}
