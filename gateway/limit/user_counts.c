#include "gateway/limit/user_counts.h"

#include "common/base/uuid_map.h"

struct user_count {
    struct uuid_node node; /* key: the user */
    int64_t connections;
};

struct user_counts {
    int64_t max;
    struct uuid_map users;
};

struct user_counts *user_counts_new(int64_t max)
{
    struct user_counts *counts = xcalloc(1, sizeof(*counts));
    counts->max = max;
    uuid_map_init(&counts->users);
    return counts;
}

static void free_user(struct uuid_node *node, void *arg)
{
    uuid_map_remove(arg, node);
    free(CONTAINER_OF(node, struct user_count, node));
}

void user_counts_free(struct user_counts *counts)
{
    if (!counts)
        return;
    uuid_map_each(&counts->users, free_user, &counts->users);
    uuid_map_done(&counts->users);
    free(counts);
}

static struct user_count *find(const struct user_counts *counts, const struct uuid *user)
{
    struct uuid_node *node = uuid_map_find(&counts->users, user);
    return node ? CONTAINER_OF(node, struct user_count, node) : NULL;
}

bool user_counts_enter(struct user_counts *counts, const struct uuid *user)
{
    if (counts->max == 0)
        return true;
    struct user_count *count = find(counts, user);
    if (count && count->connections >= counts->max)
        return false;
    if (!count) {
        count = xcalloc(1, sizeof(*count));
        count->node.key = *user;
        uuid_map_insert(&counts->users, &count->node);
    }
    count->connections++;
    return true;
}

void user_counts_leave(struct user_counts *counts, const struct uuid *user)
{
    struct user_count *count = counts->max > 0 ? find(counts, user) : NULL;
    if (count && --count->connections == 0)
        free_user(&count->node, &counts->users);
}
