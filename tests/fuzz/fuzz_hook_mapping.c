/* Fuzzes the mapping of webhooks: a line with the mapping, then the body. The first octet says whether that is a form. What is made must fit:
 * every command has a body that its schema takes, and whatever is not made has a reason. */

#include "common/base/base64.h"
#include "common/base/json.h"
#include "common/hooks/mapping.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules[] =
    "[{\"name\":\"c\",\"event\":\"*\",\"command\":\"client.create\",\"fields\":[{\"to\":\"name\",\"from\":\"/"
    "n\"},"
    "{\"to\":\"active\",\"from\":\"/a\"},{\"to\":\"payment_terms_days\",\"from\":\"/d\"}]},"
    "{\"name\":\"t\",\"event\":\"*\",\"command\":\"task.update\",\"fields\":[{\"to\":\"id\",\"from\":\"/i\"},"
    "{\"to\":\"project_id\",\"from\":\"/p/0\"},{\"to\":\"name\",\"from\":\"/n\"}]}]";

static void check_command(const json_t *made)
{
    char why[160];
    const char *type = json_string_value(json_object_get(made, "type"));
    const json_t *text = json_object_get(made, "body");
    const struct msg_resource *resource = msg_resource_by_name((struct slice){type, strcspn(type, ".")});
    struct slice base64 = {json_string_value(text), json_string_length(text)};
    CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, 4096, 0);
    struct msg_value *values;
    size_t len = 0;
    char *octets = xmalloc(base64_room(base64.len) + 1);
    must(base64_decode(base64, octets, &len), "the body is base64");
    must(len == 0 ||
             msg_decode(resource->object, (struct slice){octets, len}, &arena, &values, why) == ERR_OK,
         "the body fits its schema");
    free(octets);
}

static void map(const json_t *mapping, struct slice type, struct slice body)
{
    char why[160] = "no";
    CLEANUP(json_cleanup) json_t *source = json_pack("{s:O}", "mapping", mapping);
    CLEANUP(json_cleanup) json_t *content = NULL;
    struct hook_facts facts = {.source = source, .event = SLICE("x"), .unreadable = why};
    struct hook_outcome outcome;
    if (hook_content_read(type, body, &content, why) == ERR_OK)
        facts.content = content;
    hook_map(&facts, &outcome);
    size_t i;
    json_t *made;
    json_array_foreach(outcome.made, i, made) check_command(made);
    must(strcmp(outcome.status, "mapped") != 0 || json_array_size(outcome.made) > 0, "mapped means made");
    must(strcmp(outcome.status, "failed") != 0 || json_array_size(outcome.reasons) > 0, "failed has reasons");
    hook_outcome_done(&outcome);
}

static void check(const json_t *mapping)
{
    CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, 4096, 1 << 20);
    struct msg_problems problems = {.arena = &arena};
    CLEANUP(json_cleanup) json_t *source = json_pack("{s:O}", "mapping", mapping);
    hook_source_check(source, &problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[160];
    if (size == 0)
        return 0;
    char *copy = xmalloc(size);
    memcpy(copy, data + 1, size - 1);
    struct slice rest = {copy, size - 1}, line = rest;
    const char *end = memchr(copy, '\n', size - 1);
    line.len = end ? (size_t)(end - copy) : 0;
    struct slice body = end ? (struct slice){end + 1, rest.len - line.len - 1} : rest;
    struct slice type = data[0] & 1 ? SLICE("application/x-www-form-urlencoded") : SLICE_NONE;
    CLEANUP(json_cleanup) json_t *ours = json_loads(rules, 0, NULL);
    CLEANUP(json_cleanup) json_t *theirs = NULL;
    map(ours, type, body);
    if (json_parse(line, 16, &theirs, why) == ERR_OK) {
        check(theirs);
        map(theirs, type, body);
    }
    free(copy);
    return 0;
}
