#pragma once
/* Counts the WebSockets that each user has in this process, if their number is bounded
 * (ws_user_connections). */

#include "common/base/uuid.h"

struct user_counts;

struct user_counts *user_counts_new(int64_t max); /* 0: there is no bound, and nothing is counted */
void user_counts_free(struct user_counts *counts);

/* Counts one more. False: the user has as many as allowed, and nothing is counted. Each successful call needs
 * one user_counts_leave. */
bool user_counts_enter(struct user_counts *counts, const struct uuid *user);
void user_counts_leave(struct user_counts *counts, const struct uuid *user);
