#include "gateway/http/route_tree.h"

#include <stdlib.h>

/* What a path may have come to. */
struct node {
    struct slice segment;   /* the last one, of a pattern */
    struct node *id, *word; /* what follows, for a {…} that stands for a UUID, or for a word */
    struct node **literals; /* what follows, for other segments, sorted by them */
    size_t literal_count;
    const struct route *rows[METHOD_OTHER + 1]; /* the patterns that end here */
};

struct route_tree {
    struct node root;
};

struct search {
    enum http_method method;
    struct slice *params;
    unsigned methods; /* of the patterns that fit the path */
};

/* The text up to the next slash; *text moves behind the slash, and is absent when there was none. */
static struct slice next_segment(struct slice *text)
{
    const char *slash = text->len > 0 ? memchr(text->data, '/', text->len) : NULL;
    size_t len = slash ? (size_t)(slash - text->data) : text->len;
    struct slice segment = {text->data, len};
    *text = slash ? (struct slice){slash + 1, text->len - len - 1} : SLICE_NONE;
    return segment;
}

/* ---- building ---- */

static int compare(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.data, b.data, a.len);
}

static int compare_nodes(const void *a, const void *b)
{
    return compare((*(struct node *const *)a)->segment, (*(struct node *const *)b)->segment);
}

static struct node *literal_of(const struct node *node, struct slice segment)
{
    size_t low = 0, high = node->literal_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(segment, node->literals[middle]->segment);
        if (order == 0)
            return node->literals[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static struct node *node_new(struct slice segment)
{
    struct node *node = xcalloc(1, sizeof(*node));
    node->segment = segment;
    return node;
}

static struct node *add_literal(struct node *node, struct slice segment)
{
    struct node *found = literal_of(node, segment);
    if (found)
        return found;
    struct node *made = node_new(segment);
    node->literals = xrealloc(node->literals, (node->literal_count + 1) * sizeof(struct node *));
    node->literals[node->literal_count++] = made;
    qsort(node->literals, node->literal_count, sizeof(struct node *), compare_nodes);
    return made;
}

static struct node *add_segment(struct node *node, struct slice segment)
{
    if (segment.len == 0 || segment.data[0] != '{')
        return add_literal(node, segment);
    struct node **child = router_is_word(segment) ? &node->word : &node->id;
    if (!*child)
        *child = node_new(segment);
    return *child;
}

static void add(struct route_tree *tree, const struct route *row)
{
    struct node *node = &tree->root;
    for (struct slice left = slice_of(row->pattern); left.data;)
        node = add_segment(node, next_segment(&left));
    if (!node->rows[row->method])
        node->rows[row->method] = row;
}

struct route_tree *route_tree_new(const struct route *rows, size_t count)
{
    struct route_tree *tree = xcalloc(1, sizeof(*tree));
    for (size_t i = 0; i < count; i++)
        add(tree, &rows[i]);
    return tree;
}

static void free_below(struct node *node)
{
    struct node *const parameters[] = {node->id, node->word};
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (parameters[i]) {
            free_below(parameters[i]);
            free(parameters[i]);
        }
    for (size_t i = 0; i < node->literal_count; i++) {
        free_below(node->literals[i]);
        free(node->literals[i]);
    }
    free(node->literals);
}

void route_tree_free(struct route_tree *tree)
{
    if (tree)
        free_below(&tree->root);
    free(tree);
}

/* ---- finding ---- */

static bool is_word(struct slice segment)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    for (size_t i = 0; i < segment.len; i++)
        if (!segment.data[i] || !strchr(allowed, segment.data[i]))
            return false;
    return segment.len >= 1 && segment.len <= 64;
}

static bool is_uuid(struct slice segment)
{
    struct uuid id;
    return uuid_parse(segment, &id);
}

static const struct route *end(const struct node *node, struct search *search)
{
    for (unsigned method = 0; method < METHOD_OTHER; method++)
        if (node->rows[method])
            search->methods |= 1U << method;
    return node->rows[search->method];
}

static const struct route *find(const struct node *node, struct slice left, size_t param_count,
                                struct search *search)
{
    if (!left.data)
        return end(node, search);
    struct slice segment = next_segment(&left);
    const struct node *literal = literal_of(node, segment);
    const struct route *row = literal ? find(literal, left, param_count, search) : NULL;
    if (row || param_count == CALL_PARAMS_MAX)
        return row;
    const struct node *parameter = node->id && is_uuid(segment)     ? node->id
                                   : node->word && is_word(segment) ? node->word
                                                                    : NULL;
    if (!parameter)
        return NULL;
    search->params[param_count] = segment;
    return find(parameter, left, param_count + 1, search);
}

const struct route *route_tree_find(const struct route_tree *tree, enum http_method method, struct slice path,
                                    struct slice params[CALL_PARAMS_MAX], unsigned *ret_methods)
{
    struct search search = {.method = method, .params = params};
    const struct route *row = path.data ? find(&tree->root, path, 0, &search) : NULL;
    *ret_methods = search.methods;
    return row;
}
