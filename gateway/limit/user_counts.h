#pragma once
/* How many WebSockets each user has in this process, where there is a bound (ws_user_connections). */

#include "common/base/uuid.h"

struct user_counts;

struct user_counts *user_counts_new(int64_t max); /* 0: no bound, and nothing is counted */
void user_counts_free(struct user_counts *counts);

/* False: the user has as many as there may be. Whoever entered leaves once. */
bool user_counts_enter(struct user_counts *counts, const struct uuid *user);
void user_counts_leave(struct user_counts *counts, const struct uuid *user);
