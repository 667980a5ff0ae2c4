#pragma once
/* The names of this host and of this process, by which processes on several hosts tell each other apart: in
 * their messages, in rows and in logs. */

#include <stdio.h>
#include <unistd.h>

enum {
    HOST_SIZE = 65,                     /* HOST_NAME_MAX of Linux, and a NUL */
    HOST_PROCESS_SIZE = HOST_SIZE + 16, /* "host:pid" */
};

static inline void host_name(char name[HOST_SIZE])
{
    if (gethostname(name, HOST_SIZE - 1))
        snprintf(name, HOST_SIZE, "unknown");
    name[HOST_SIZE - 1] = '\0';
}

static inline void host_process(char name[HOST_PROCESS_SIZE])
{
    char host[HOST_SIZE];
    host_name(host);
    snprintf(name, HOST_PROCESS_SIZE, "%s:%ld", host, (long)getpid());
}
