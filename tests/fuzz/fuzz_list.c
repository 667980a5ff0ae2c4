/* Fuzzes the query of a list: the first octet chooses the resource and how much memory the call has, the rest is the query.
 * What is refused is told why. What is accepted has a statement with as many parameters as are given for it, and the
 * cursor of its next page is accepted by the same list. */

#include "gateway/http/target.h"
#include "gateway/resources/plan.h"
#include "gateway/resources/position.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROJECT "0000000d-0000-7000-8000-000000000001"

static struct config config = {.page_default = 50, .page_max = 200};
static struct gateway gateway = {.config = &config};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    gateway.plans = plans_new();
    return 0;
}

/* The greatest number of a parameter in it. */
static size_t parameters_of(const char *sql)
{
    size_t most = 0;
    for (const char *at = sql; (at = strchr(at, '$')); at++) {
        size_t number = strtoul(at + 1, NULL, 10);
        most = number > most ? number : most;
    }
    return most;
}

static void check_statement(struct call *call, struct plan *plan, const struct selection *selection)
{
    struct slice params[SELECTION_PARAMS_MAX];
    size_t count = selection_step_params(call, selection, plan, 10, 100, true, params);
    must(count <= SELECTION_PARAMS_MAX, "there is room for the parameters");
    must(parameters_of(plan_step(plan, &selection->shape)->sql) == count + 1, "a step has these parameters");
    if (!selection->shape.text)
        return;
    count = selection_params(call, selection, plan, 10, params);
    must(parameters_of(plan_search(plan, &selection->shape)->sql) == count + 1,
         "a search has these parameters");
}

/* As the answer to a page gives it. */
static void check_cursor(struct call *call, struct plan *plan, struct selection *selection)
{
    char text[CURSOR_SIZE], octets[CURSOR_OCTETS_MAX];
    struct cursor read, next = selection->after;
    next.id = uuid_v7();
    if (selection->shape.sort == 0)
        next.kind = CURSOR_TIME;
    else if (!plan_has_values(plan, &selection->shape))
        next.kind = CURSOR_NULL;
    else
        next = (struct cursor){.id = next.id,
                               .kind = CURSOR_TEXT,
                               .text = SLICE("2026-01-01"),
                               .has_digest = true,
                               .digest = next.digest};
    cursor_format(&next, text);
    must(cursor_parse(slice_of(text), octets, &read) == ERR_OK, "our cursor can be read");
    selection->after = read;
    if (plan_has_values(plan, &selection->shape) || plan_has_nulls(plan, &selection->shape))
        must(!position_begin(call, plan, true, selection).data, "our cursor is of this list");
}

static void try_query(struct call *call, struct plan *plan)
{
    struct msg_problems problems = {.arena = &call->arena};
    struct selection selection;
    enum err err = selection_parse(call, plan, &selection, &problems);
    must((err == ERR_OK) == (problems.count == 0), "what is refused is told why");
    if (err == ERR_OK) {
        check_statement(call, plan, &selection);
        check_cursor(call, plan, &selection);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const resources[] = {"project", "task", "export"};
    struct call call = {.gateway = &gateway, .params = {SLICE(PROJECT)}};
    struct slice path;
    if (size == 0)
        return 0;
    bool is_short = data[0] & 0x80; /* of memory: it runs out anywhere */
    arena_init(&call.arena, 1024, is_short ? size + (data[0] & 0x7f) * 16 : 0);
    call.identity.role_row = data[0] & 1 ? MSG_ROLE_COMPANY_ADMIN : MSG_ROLE_UNKNOWN;
    char *target =
        xmalloc(size + 2); /* of exactly its size, so that the sanitizer sees every read past the end */
    memcpy(target, "/x?", 3);
    memcpy(target + 3, data + 1, size - 1);
    if (target_parse(&call.arena, (struct slice){target, size + 2}, &path, &call.query) == ERR_OK)
        try_query(&call,
                  plans_of(gateway.plans,
                           msg_resource_by_name(slice_of(resources[(data[0] >> 1) % ARRAY_LEN(resources)]))));
    arena_done(&call.arena);
    free(target);
    return 0;
}
