#pragma once
/* The patterns of the route table as a tree, a level for each segment of the path. So a path is compared with what may
 * follow, and not with every pattern: the look-up costs the same however many endpoints there are. */

#include "gateway/http/router.h"

struct route_tree;

/* `rows` must outlive it. */
struct route_tree *route_tree_new(const struct route *rows, size_t count);
void route_tree_free(struct route_tree *tree); /* NULL is allowed */

/* The row for this method and path, and what stands in the path for its {…}; NULL when there is none. Then *ret_methods
 * has a bit (1 << method) for each method that the path has, 0 for an unknown path. A literal segment goes before a {…}. */
const struct route *route_tree_find(const struct route_tree *tree, enum http_method method, struct slice path,
                                    struct slice params[CALL_PARAMS_MAX], unsigned *ret_methods);
