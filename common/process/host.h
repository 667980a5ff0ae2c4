#pragma once
/* This host, as the processes of a pool call it among themselves. */

#include <stdio.h>
#include <unistd.h>

enum { HOST_SIZE = 65 }; /* HOST_NAME_MAX of Linux, and a NUL */

static inline void host_name(char name[HOST_SIZE])
{
    if (gethostname(name, HOST_SIZE - 1))
        snprintf(name, HOST_SIZE, "unknown");
    name[HOST_SIZE - 1] = '\0';
}
