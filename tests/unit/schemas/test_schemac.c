/* The schema compiler refuses what it does not support and what is not bounded, and says where. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "schemas/schemac/compile.h"

/* --- one schema --- */

static void assert_refused(const char *schema, const char *expected)
{
    CLEANUP(arena_done) struct arena arena;
    struct msg_shape shape;
    char why[SCHEMA_WHY_MAX] = "accepted";
    arena_init(&arena, 1 << 16, 0);
    json_t *json = json_loads(schema, 0, NULL);
    assert_non_null(json);
    enum err err = schema_compile(json, SCHEMA_MESSAGES, &arena, &shape, why);
    json_decref(json);
    assert_string_equal(why, expected);
    assert_int_equal(err, ERR_VALIDATION);
}

/* A field `a` with these keywords, in an object that is otherwise right. */
static void assert_field_refused(const char *keywords, const char *expected)
{
    CLEANUP(buf_done) struct buf schema;
    buf_init(&schema, 65536);
    buf_printf(&schema, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"a\":{%s}}}",
               keywords);
    buf_append_char(&schema, '\0');
    assert_refused(buf_data(&schema), expected);
}

static void test_field_when_a_bound_is_missing_then_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"x-id\":1,\"type\":\"string\"", "a string needs maxLength, an enum, or a format of one length"},
        {"\"x-id\":1,\"type\":\"string\",\"format\":\"email\"",
         "a string needs maxLength, an enum, or a format of one length"},
        {"\"x-id\":1,\"type\":\"integer\",\"minimum\":0", "a number needs a minimum and a maximum"},
        {"\"x-id\":1,\"type\":\"number\",\"exclusiveMaximum\":0", "a number needs a minimum and a maximum"},
        {"\"x-id\":1,\"type\":\"array\",\"items\":{\"type\":\"boolean\"}",
         "an array needs items and maxItems"},
        {"\"x-id\":1,\"type\":\"array\",\"maxItems\":3", "an array needs items and maxItems"},
        {"\"x-id\":1", "type is missing, or says nothing"},
        {"\"x-id\":1,\"type\":\"null\"", "type is missing, or says nothing"},
        {"\"x-id\":1,\"type\":\"object\",\"properties\":{\"b\":{\"x-id\":1,\"type\":\"boolean\"}}",
         "an object needs \"additionalProperties\": false"},
        {"\"x-id\":1,\"type\":\"object\",\"additionalProperties\":false", "an object needs properties"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected), "#/properties/a: %s", cases[i][1]);
        assert_field_refused(cases[i][0], expected);
    }
}

static void test_field_when_a_keyword_is_not_supported_then_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"pattern",
                                        "const",
                                        "oneOf",
                                        "anyOf",
                                        "allOf",
                                        "not",
                                        "if",
                                        "contains",
                                        "uniqueItems",
                                        "prefixItems",
                                        "patternProperties",
                                        "minProperties",
                                        "dependentRequired",
                                        "unevaluatedProperties",
                                        "$dynamicRef",
                                        "$anchor",
                                        "definitions",
                                        "x-column-name",
                                        "MaxLength"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char keywords[256], expected[256];
        snprintf(keywords, sizeof(keywords), "\"x-id\":1,\"type\":\"boolean\",\"%s\":true", names[i]);
        snprintf(expected, sizeof(expected), "#/properties/a/%s: keyword `%s` is not supported", names[i],
                 names[i]);
        assert_field_refused(keywords, expected);
    }
}

static void test_field_when_a_keyword_does_not_suit_then_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"x-id\":1,\"type\":\"boolean\",\"maxLength\":3",
         "/maxLength: keyword `maxLength` says nothing about this type"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":3,\"minimum\":1",
         "/minimum: keyword `minimum` says nothing about this type"},
        {"\"x-id\":1,\"type\":\"boolean\",\"$defs\":{}", "/$defs: keyword `$defs` has no meaning here"},
        {"\"x-id\":1,\"type\":\"array\",\"maxItems\":1,\"items\":{\"x-id\":1,\"type\":\"boolean\"}",
         "/items/x-id: keyword `x-id` has no meaning here"},
        {"\"x-id\":1,\"$ref\":\"#/$defs/b\",\"maxLength\":3",
         "/maxLength: keyword `maxLength` cannot stand beside $ref"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected), "#/properties/a%s", cases[i][1]);
        assert_field_refused(cases[i][0], expected);
    }
}

static void test_field_when_a_value_is_wrong_then_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"x-id\":1,\"type\":\"text\"",
         "/type: type must be the name of a type, or that and \"null\" in an array"},
        {"\"x-id\":1,\"type\":[\"string\",\"integer\"]",
         "/type: a type in an array must be one type and \"null\""},
        {"\"x-id\":1,\"type\":[\"null\",\"null\"]",
         "/type: a type in an array must be one type and \"null\""},
        {"\"x-id\":1,\"type\":[\"string\"]", "/type: a type in an array must be one type and \"null\""},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":-1",
         "/maxLength: must be a whole number that is not negative"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":1.5",
         "/maxLength: must be a whole number that is not negative"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":\"9\"",
         "/maxLength: must be a whole number that is not negative"},
        {"\"x-id\":1,\"type\":\"string\",\"minLength\":3,\"maxLength\":2", ": minLength is above maxLength"},
        {"\"x-id\":1,\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":3,\"maxItems\":2",
         ": minItems is above maxItems"},
        {"\"x-id\":1,\"type\":\"integer\",\"minimum\":3,\"maximum\":2", ": the minimum is above the maximum"},
        {"\"x-id\":1,\"type\":\"integer\",\"minimum\":\"3\",\"maximum\":2", "/minimum: must be a number"},
        {"\"x-id\":1,\"type\":\"integer\",\"minimum\":1,\"exclusiveMinimum\":1,\"maximum\":2",
         "/exclusiveMinimum: a bound is either inclusive or exclusive"},
        {"\"x-id\":1,\"type\":\"integer\",\"minimum\":1,\"maximum\":1e17",
         ": an integer must stay within 2^53 - 1 either way"},
        {"\"x-id\":1,\"type\":\"number\",\"minimum\":1,\"maximum\":2,\"multipleOf\":0",
         "/multipleOf: must be a number above zero"},
        {"\"x-id\":1,\"type\":\"string\",\"format\":\"hostname\"",
         "/format: format must be uuid, date, date-time, email or uri"},
        {"\"x-id\":1,\"type\":\"string\",\"enum\":[]", "/enum: enum must be an array that is not empty"},
        {"\"x-id\":1,\"type\":\"string\",\"enum\":[\"a\",1]",
         "/enum/1: enum values must be strings without U+0000"},
        {"\"x-id\":1,\"type\":\"string\",\"enum\":[\"a\",\"a\"]", "/enum/1: `a` is listed twice"},
        {"\"x-id\":1,\"type\":\"string\",\"enum\":[\"a\",null]",
         "/enum: null must be in the enum exactly when the type is nullable"},
        {"\"x-id\":1,\"type\":[\"string\",\"null\"],\"enum\":[\"a\"]",
         "/enum: null must be in the enum exactly when the type is nullable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected), "#/properties/a%s", cases[i][1]);
        assert_field_refused(cases[i][0], expected);
    }
}

static void test_field_when_its_annotations_are_wrong_then_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"type\":\"boolean\"", ": x-id is missing"},
        {"\"x-id\":0,\"type\":\"boolean\"", "/x-id: must be an integer from 1 to 65535"},
        {"\"x-id\":65536,\"type\":\"boolean\"", "/x-id: must be an integer from 1 to 65535"},
        {"\"x-id\":\"1\",\"type\":\"boolean\"", "/x-id: must be an integer from 1 to 65535"},
        {"\"x-id\":1,\"type\":\"boolean\",\"readOnly\":1", "/readOnly: must be true or false"},
        {"\"x-id\":1,\"type\":\"boolean\",\"readOnly\":true,\"x-create-only\":true",
         ": readOnly and x-create-only exclude each other"},
        {"\"x-id\":1,\"type\":\"boolean\",\"x-search\":true", ": x-search is for strings"},
        {"\"x-id\":1,\"type\":\"boolean\",\"x-indexed\":true", ": x-indexed is for fields with x-filter"},
        {"\"x-id\":1,\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"x-filter\":true,\"x-indexed\":true",
         ": x-indexed is not for numbers"},
        {"\"x-id\":1,\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"x-sort\":true",
         ": x-sort is not for numbers with decimals but x-money: give it an integer"},
        {"\"x-id\":1,\"type\":\"boolean\",\"x-sort\":true",
         ": x-sort is for dates, times, integers and texts"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":201,\"x-sort\":true",
         ": x-sort is for texts of at most 200 characters"},
        {"\"x-id\":1,\"type\":\"boolean\",\"x-money\":true",
         "/x-money: keyword `x-money` says nothing about this type"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"x-sort\":\"yes\"",
         "/x-sort: must be true or false"},
        {"\"x-id\":1,\"type\":\"array\",\"maxItems\":1,\"items\":{\"type\":\"boolean\"},\"x-filter\":true",
         ": x-filter is for single values"},
        {"\"x-id\":1,\"type\":\"boolean\",\"x-column\":\"Drop Table\"",
         "/x-column: must be the name of a column: lower-case letters, digits and underscores"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"writeOnly\":true,\"x-filter\":true",
         ": what is writeOnly has no default, no class, and lists know nothing of it"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"contentEncoding\":\"quoted-printable\"",
         "/contentEncoding: contentEncoding must be base64, of a text without a format"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"writeOnly\":true,\"x-secret\":{\"keys\":"
         "\"all\"}",
         "/x-secret: keys are `hook`: those that gateways have, too"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"x-secret\":true",
         "/x-secret: a secret is writeOnly"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"writeOnly\":true,\"x-secret\":\"yes\"",
         "/x-secret: must be true, or an object"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"writeOnly\":true,\"x-secret\":true,\"x-filter\":"
         "true",
         "/x-secret: a secret is a text without a format that need not be given; it has no default, no "
         "class, and "
         "lists know nothing of it"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"writeOnly\":true,\"x-secret\":{\"prefix\":\"a\","
         "\"octets\":8}",
         "/x-secret: a secret that is made by itself has a prefix and 16 to 64 octets"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"writeOnly\":true,\"x-secret\":{\"keep_hours\":"
         "24}",
         "/x-secret: keep_hours are 1 to 8760, of a secret that is made by itself and is never null"},
        {"\"x-id\":1,\"type\":\"string\",\"maxLength\":20,\"x-outbound\":true",
         ": x-outbound is for a uri in the message itself, which a client gives"},
        {"\"x-id\":1,\"type\":\"boolean\",\"x-outbound\":true",
         "/x-outbound: keyword `x-outbound` says nothing about this type"},
        {"\"x-id\":1,\"type\":\"string\",\"format\":\"uri\",\"maxLength\":20,\"x-outbound\":true,"
         "\"readOnly\":true",
         ": x-outbound is for a uri in the message itself, which a client gives"},
        {"\"x-id\":1,\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"b\":{\"x-id\":1,"
         "\"type\":\"string\",\"format\":\"uri\",\"maxLength\":20,\"x-outbound\":true}}",
         "/properties/b: x-outbound is for a uri in the message itself, which a client gives"},
        {"\"x-id\":1,\"type\":\"array\",\"maxItems\":1,\"items\":{\"type\":\"boolean\"},\"x-event-types\":"
         "true",
         ": x-event-types is for an array of texts in the message itself, which a client gives"},
        {"\"x-id\":1,\"type\":\"boolean\",\"default\":\"yes\"",
         "/default: the default does not fit its own schema: must be true or false"},
        {"\"x-id\":1,\"type\":\"integer\",\"minimum\":1,\"maximum\":2,\"default\":3",
         "/default: the default does not fit its own schema: must be at most 2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected), "#/properties/a%s", cases[i][1]);
        assert_field_refused(cases[i][0], expected);
    }
}

static void test_object_when_ids_repeat_then_refused(void **state)
{
    (void)state;
    assert_refused("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                   "\"a\":{\"x-id\":7,\"type\":\"boolean\"},\"b\":{\"x-id\":7,\"type\":\"boolean\"}}}",
                   "#: x-id 7 is used by `a` and by `b`");
}

static void test_object_when_required_is_wrong_then_refused(void **state)
{
    (void)state;
#define OBJECT_REQUIRING(names)                                                                           \
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":" names ",\"properties\":{"         \
    "\"a\":{\"x-id\":1,\"type\":\"boolean\"},\"ro\":{\"x-id\":2,\"type\":\"boolean\",\"readOnly\":true}," \
    "\"de\":{\"x-id\":3,\"type\":\"boolean\",\"default\":true}}}"
    assert_refused(OBJECT_REQUIRING("[\"b\"]"), "#/required/0: `b` is required and not among the properties");
    assert_refused(OBJECT_REQUIRING("[\"a\",\"a\"]"), "#/required/1: `a` is listed twice");
    assert_refused(OBJECT_REQUIRING("[1]"), "#/required/0: must be the name of a property");
    assert_refused(OBJECT_REQUIRING("true"), "#/required: must be an array of names");
    assert_refused(OBJECT_REQUIRING("[\"ro\"]"),
                   "#/required/0: `ro` cannot be required: it is read-only or has a default");
    assert_refused(OBJECT_REQUIRING("[\"de\"]"),
                   "#/required/0: `de` cannot be required: it is read-only or has a default");
}

static void test_object_when_a_name_is_no_identifier_then_refused(void **state)
{
    (void)state;
    assert_refused(
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"startDate\":{\"x-id\":7,\"type\":\"boolean\"}}}",
        "#/properties/startDate: a field's name must be lower-case letters, digits and underscores");
    assert_refused("{\"type\":\"object\",\"additionalProperties\":true,\"properties\":{}}",
                   "#/additionalProperties: an object needs \"additionalProperties\": false");
}

static void test_object_when_it_has_too_many_fields_then_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf schema;
    buf_init(&schema, 1 << 20);
    buf_append_text(&schema, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    for (int i = 0; i <= MSG_FIELDS_MAX; i++)
        buf_printf(&schema, "%s\"f%d\":{\"x-id\":%d,\"type\":\"boolean\"}", i ? "," : "", i, i + 1);
    buf_append(&schema, "}}", 3);
    assert_refused(buf_data(&schema), "#/properties: an object can have 128 fields at most");
}

static void test_reference_when_it_leads_nowhere_or_in_a_circle_then_refused(void **state)
{
    (void)state;
#define FIELD_REFERRING(ref)                                                                                \
    "{\"type\":\"object\",\"additionalProperties\":false,\"$defs\":{\"loop\":{\"$ref\":\"#/$defs/loop\"}}," \
    "\"properties\":{\"a\":{\"x-id\":1,\"$ref\":" ref "}}}"
    assert_refused(FIELD_REFERRING("\"#/$defs/b\""),
                   "#/properties/a: $ref points to `#/$defs/b`, which is not there");
    assert_refused(FIELD_REFERRING("1"), "#/properties/a: $ref must be a string");
    assert_refused(FIELD_REFERRING("\"#\""), "#/properties/a: $ref must not point to its own document");
    assert_refused(FIELD_REFERRING("\"#/properties/b\""),
                   "#/properties/a: $ref must point to #/$defs/NAME, FILE.json or FILE.json#/$defs/NAME");
    assert_refused(
        FIELD_REFERRING("\"http://example.com/x.json\""),
        "#/properties/a: $ref names `http://example.com/x.json`: only files of the same folder can be named");
    assert_refused(FIELD_REFERRING("\"#/$defs/loop\""),
                   "#/$defs/loop: $ref leads deeper than 16 levels, or in a circle");
}

static void test_shape_when_nested_too_deeply_then_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf schema;
    buf_init(&schema, 1 << 16);
    for (int i = 0; i < 17; i++)
        buf_append_text(&schema, "{\"type\":\"array\",\"maxItems\":1,\"items\":");
    buf_append_text(&schema, "{\"type\":\"boolean\"}");
    for (int i = 0; i < 17; i++)
        buf_append_char(&schema, '}');
    buf_append_char(&schema, '\0');
    assert_refused(buf_data(&schema),
                   "#/items/items/items/items/items/items/items/items/items/items/items/items/items/"
                   "items/items/items: nested deeper than 16 levels");
}

/* --- a folder of files --- */

#define HEAD(id) "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":\"" id "\""
#define RIGHTS   "\"x-rights\":{\"developer\":{\"create\":\"any\",\"read\":\"any\"}}"
#define SERVER                                                                                               \
    "\"id\":{\"x-id\":1,\"type\":\"string\",\"format\":\"uuid\",\"readOnly\":true},"                         \
    "\"version\":{\"x-id\":2,\"type\":\"integer\",\"minimum\":1,\"maximum\":9,\"readOnly\":true},"           \
    "\"created_at\":{\"x-id\":3,\"type\":\"string\",\"format\":\"date-time\",\"maxLength\":40,\"readOnly\":" \
    "true},"                                                                                                 \
    "\"updated_at\":{\"x-id\":4,\"type\":\"string\",\"format\":\"date-time\",\"maxLength\":40,\"readOnly\":" \
    "true}"
#define OBJECT(properties) \
    "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" properties "}"
#define RESOURCE_WITH(name, more)                                                                \
    "\"x-resource\":{\"name\":\"" name "\",\"collection\":\"" name "s\",\"table\":\"" name "\"," \
    "\"pool\":\"projects\"" more "}"
#define RESOURCE(name) RESOURCE_WITH(name, "")
#define GOOD(id, name) HEAD(id) "," RESOURCE(name) "," RIGHTS "," OBJECT(SERVER) "}"

#define FIELD(field) HEAD("a.json") "," RESOURCE("a") "," RIGHTS "," OBJECT(SERVER "," field) "}"
#define SORTED(name, id) \
    "\"" name "\":{\"x-id\":" id ",\"type\":[\"string\",\"null\"],\"format\":\"date\",\"x-sort\":true}"
#define INDEXED(name, id)        \
    "\"" name "\":{\"x-id\":" id \
    ",\"type\":[\"string\",\"null\"],\"format\":\"date\",\"x-filter\":true,\"x-indexed\":true}"
#define STATUS(transitions)                                                                        \
    HEAD("a.json")                                                                                 \
    "," RESOURCE("a") "," RIGHTS                                                                   \
                      "," OBJECT(SERVER ",\"s\":{\"x-id\":5,\"type\":\"string\",\"enum\":[\"on\"," \
                                        "\"off\"],\"x-transitions\":" transitions "}") "}"

struct folder {
    char path[64];
};

static int setup_folder(void **state)
{
    struct folder *folder = xcalloc(1, sizeof(*folder));
    snprintf(folder->path, sizeof(folder->path), "/tmp/test_schemac_XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    *state = folder;
    return 0;
}

static const char *const file_names[] = {"a.json", "b.json", "types.json"};

static int teardown_folder(void **state)
{
    struct folder *folder = *state;
    for (size_t i = 0; i < ARRAY_LEN(file_names); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", folder->path, file_names[i]);
        unlink(path);
    }
    rmdir(folder->path);
    free(folder);
    return 0;
}

static void put_file(const struct folder *folder, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void assert_folder_refused(const struct folder *folder, const char *expected)
{
    struct schema_set set;
    char why[SCHEMA_WHY_MAX] = "accepted";
    enum err err = schema_set_load(&set, folder->path, why);
    if (!err)
        schema_set_done(&set);
    assert_string_equal(why, expected);
}

static void test_file_when_wrong_as_a_whole_then_refused_with_its_name(void **state)
{
    static const char *const cases[][2] = {
        {"{", "a.json:1:1: string or '}' expected near end of file"},
        {"[]", "a.json:1#: a schema must be an object"},
        {"{}", "a.json:1#: $schema must be \"https://json-schema.org/draft/2020-12/schema\""},
        {HEAD("b.json") "}", "a.json:1#: $id must be the name of the file"},
        {HEAD("a.json") ",\"type\":\"object\"}",
         "a.json:1#: without x-resource or x-request a file is a library of $defs and cannot have `type`"},
        {HEAD("a.json") ",\"$defs\":{\"x\":{\"type\":\"string\"}}}",
         "a.json:1#/$defs/x: a string needs maxLength, an enum, or a format of one length"},
        {HEAD("a.json") "," RESOURCE("a") "," OBJECT(SERVER) "}",
         "a.json:1#: x-rights is missing: of each role, what it may do"},
        {HEAD("a.json") ",\"x-resource\":{\"name\":\"A\"}," RIGHTS "," OBJECT(SERVER) "}",
         "a.json:1#/x-resource: `name` must be lower-case letters, digits and underscores"},
        {HEAD("a.json") ",\"x-resource\":{\"plural\":\"A\"}," RIGHTS "," OBJECT(SERVER) "}",
         "a.json:1#/x-resource: `plural` is not supported here"},
        {HEAD("a.json") "," RESOURCE("a") "," RIGHTS
                                          "," OBJECT("\"x\":{\"x-id\":1,\"type\":\"boolean\"}") "}",
         "a.json:1#: a resource needs the read-only property `id`"},
        {HEAD("a.json") "," RESOURCE_WITH("a", ",\"parent\":\"b\"") "," RIGHTS "," OBJECT(SERVER) "}",
         "a.json:1#: a resource needs the read-only property `b_id`"},
        {HEAD("a.json") "," RESOURCE_WITH("a", ",\"parent\":\"b\"") "," RIGHTS "," OBJECT(
             SERVER ",\"b_id\":{\"x-id\":5,\"type\":\"string\","
                    "\"format\":\"uuid\",\"readOnly\":true}") "}",
         "a.json:1#/x-resource: the parent `b` is not the name of a resource"},
        {HEAD("a.json") "," RESOURCE("a") "," RIGHTS
                                          "," OBJECT(SERVER ",\"x\":{\"x-id\":5,\"$ref\":\"c.json\"}") "}",
         "c.json:-1:-1: unable to open"},
        {FIELD("\"company_id\":{\"x-id\":5,\"type\":\"boolean\"}"),
         "a.json:1#/properties/company_id: `company_id` is a column that the table has already"},
        {FIELD("\"x\":{\"x-id\":5,\"type\":\"boolean\",\"x-column\":\"ctid\"}"),
         "a.json:1#/properties/x: `ctid` is a column that the table has already"},
        {FIELD("\"x\":{\"x-id\":5,\"type\":\"boolean\",\"x-column\":\"version\"}"),
         "a.json:1#/properties/x: its column `version` is that of `version`"},
        {FIELD("\"limit\":{\"x-id\":5,\"type\":\"boolean\",\"x-filter\":true}"),
         "a.json:1#/properties/limit: x-filter: `limit` is a parameter of every list"},
        {FIELD("\"sort\":{\"x-id\":5,\"type\":\"boolean\",\"x-filter\":true}"),
         "a.json:1#/properties/sort: x-filter: `sort` is a parameter of every list"},
        {HEAD("a.json") "," RESOURCE("a") "," RIGHTS "," OBJECT(
             SERVER "," SORTED("a", "5") "," SORTED("b", "6") "," SORTED("c", "7") "," SORTED(
                 "d", "8") "," SORTED("e", "9") "," SORTED("f", "10")) "}",
         "a.json:1#/properties: a resource can have 5 fields with x-sort at most"},
        {HEAD("a.json") "," RESOURCE("a") "," RIGHTS "," OBJECT(
             SERVER "," SORTED("a", "5") "," SORTED("b", "6") "," SORTED("c", "7") "," SORTED(
                 "d", "8") "," INDEXED("e", "9") "," INDEXED("f", "10")) "}",
         "a.json:1#/properties: x-indexed, x-sort and others make 9 indexes, and a table can have 8"},
        {STATUS("{\"on\":[\"off\"]}"),
         "a.json:1#/properties/s/x-transitions: `off` is missing: what it may become"},
        {STATUS("{\"on\":[\"of\"],\"off\":[]}"),
         "a.json:1#/properties/s/x-transitions/on/0: must be a value of the enum"},
        {STATUS("{\"on\":[],\"off\":[],\"dim\":[]}"),
         "a.json:1#/properties/s/x-transitions: `dim` is no value of the enum"},
        {STATUS("{\"on\":\"off\",\"off\":[]}"), "a.json:1#/properties/s/x-transitions/on: must be an array "
                                                "of what the value may become, or an object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct schema_set set;
        char why[SCHEMA_WHY_MAX] = "accepted";
        const struct folder *folder = *state;
        put_file(folder, "a.json", cases[i][0]);
        enum err err = schema_set_load(&set, folder->path, why);
        assert_int_equal(err, ERR_VALIDATION);
        if (strncmp(why, cases[i][1], strlen(cases[i][1])) != 0)
            fail_msg("`%s`\n    instead of `%s`", why, cases[i][1]);
    }
}

/* A resource whose x-resource also says this, and the refusal, without the name of the file and the line. */
static void assert_resource_refused(const struct folder *folder, const char *more, const char *expected)
{
    CLEANUP(buf_done) struct buf schema;
    char whole[256];
    buf_init(&schema, 65536);
    buf_printf(
        &schema,
        HEAD("a.json") ",\"x-resource\":{\"name\":\"a\",\"collection\":\"as\",\"table\":\"a\",%s}," RIGHTS
                       "," OBJECT(SERVER) "}",
        more);
    buf_append_char(&schema, '\0');
    put_file(folder, "a.json", buf_data(&schema));
    snprintf(whole, sizeof(whole), "a.json:1#%s", expected);
    assert_folder_refused(folder, whole);
}

#define POOL "\"pool\":\"projects\","

static void test_resource_when_a_word_makes_no_sense_then_refused(void **state)
{
    static const struct {
        const char *more, *expected;
    } cases[] = {
        {"\"verbs\":[]", "/x-resource: `pool` is missing: whose workers run its commands"},
        {"\"pool\":\"gardens\"",
         "/x-resource/pool: must be the name of a pool, a row of common/broker/pools.def"},
        {POOL "\"verbs\":\"get\"", "/x-resource/verbs: must be an array of verbs"},
        {POOL "\"verbs\":[\"get\",\"paint\"]",
         "/x-resource/verbs/1: must be create, get, list, update or delete"},
        {POOL "\"verbs\":[\"get\",\"get\"]", "/x-resource/verbs/1: `get` is listed twice"},
        {POOL "\"summaries\":{\"paint\":\"Paint it.\"}",
         "/x-resource/summaries/paint: the resource has no verb `paint`"},
        {POOL "\"verbs\":[\"get\"],\"summaries\":{\"list\":\"List.\"}",
         "/x-resource/summaries/list: the resource has no verb `list`"},
        {POOL "\"summaries\":{\"get\":\"\"}", "/x-resource/summaries/get: must be a sentence"},
        {POOL "\"acts\":[]", "/x-resource/acts: must be an array of names"},
        {POOL "\"acts\":[\"update\"]", "/x-resource/acts/0: must be a name, and that of no verb"},
        {POOL "\"acts\":[\"Send it\"]", "/x-resource/acts/0: must be a name, and that of no verb"},
        {POOL "\"path\":\"/v2/as\"",
         "/x-resource/path: must be \"/v1/as\", with words between the two, if any"},
        {POOL "\"path\":\"/v1/{x}/as\"",
         "/x-resource/path: must be \"/v1/as\", with words between the two, if any"},
        {POOL "\"path\":\"/v1/bas\"",
         "/x-resource/path: must be \"/v1/as\", with words between the two, if any"},
        {POOL "\"parent\":\"b\",\"path\":\"/v1/as\"",
         "/x-resource/path: the path of a resource with a parent begins with that of the parent"},
        {POOL "\"channel\":\"a\"",
         "/x-resource: `channel`: `a` must be an x-create-only x-reference to what has a channel"},
        {POOL "\"channel\":1", "/x-resource/channel: must be true, false, or the name of a field"},
        {POOL "\"parent\":\"b\",\"channel\":true",
         "/x-resource/channel: a resource with a parent has no channel of its own"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_resource_refused(*state, cases[i].more, cases[i].expected);
}

/* A resource with a text `s`, a uuid `u` and a read-only text `r`, that also says this of its rules. */
static void assert_rules_refused(const struct folder *folder, const char *rules, const char *of_u,
                                 const char *of_r, const char *expected)
{
    CLEANUP(buf_done) struct buf schema;
    char whole[256];
    buf_init(&schema, 65536);
    buf_printf(&schema,
               HEAD("a.json") "," RESOURCE("a") "," RIGHTS "%s," OBJECT(
                   SERVER ",\"s\":{\"x-id\":5,\"type\":[\"string\",\"null\"],\"maxLength\":9},"
                          "\"u\":{\"x-id\":6,\"type\":[\"string\",\"null\"],\"format\":\"uuid\"%s},"
                          "\"r\":{\"x-id\":7,\"type\":\"string\",\"maxLength\":9,\"readOnly\":true%s}") "}",
               rules, of_u, of_r);
    buf_append_char(&schema, '\0');
    put_file(folder, "a.json", buf_data(&schema));
    snprintf(whole, sizeof(whole), "a.json:1#%s", expected);
    assert_folder_refused(folder, whole);
}

#define RULE(verbs, sql)            ",\"x-rules\":[{\"verbs\":" verbs ",\"detail\":\"No.\",\"broken_when\":\"" sql "\"}]"
#define COMPUTED(verb, column, sql) ",\"x-compute\":{\"" verb "\":{\"" column "\":\"" sql "\"}}"

static void test_resource_when_a_rule_names_what_is_not_then_refused(void **state)
{
    static const struct {
        const char *rules, *of_u, *of_r, *expected;
    } cases[] = {
        {RULE("[]", "true"), "", "", "/x-rules/0/verbs: `verbs` must be an array of verbs"},
        {RULE("[\"list\"]", "true"), "", "", "/x-rules/0/verbs/0: must be create, update or delete"},
        {RULE("[\"create\"]", "new.t = ''"), "", "",
         "/x-rules/0/broken_when: `new.t`: a client gives no such field here"},
        {RULE("[\"create\"]", "new.r = ''"), "", "",
         "/x-rules/0/broken_when: `new.r`: a client gives no such field here"},
        {RULE("[\"delete\"]", "new.s = ''"), "", "",
         "/x-rules/0/broken_when: `new.s`: a client gives no such field here"},
        {RULE("[\"update\",\"create\"]", "old.s = ''"), "", "",
         "/x-rules/0/broken_when: `old` is not known here"},
        {RULE("[\"update\"]", "old.\\\"x\\\" = ''"), "", "",
         "/x-rules/0/broken_when: `old.x`: there is no such column"},
        {RULE("[\"update\"]", "t.s = ''"), "", "", "/x-rules/0/broken_when: `t` is not known here"},
        {RULE("[\"create\"]", "parent.s = ''"), "", "",
         "/x-rules/0/broken_when: `parent` is known in rules of a create below a parent"},
        {RULE("[\"create\"]", "new.s = ':no' AND :now::text = ''"), "", "",
         "/x-rules/0/broken_when: `:now` is no name that rules may use"},
        {RULE("[\"create\"]", ":parent IS NULL"), "", "",
         "/x-rules/0/broken_when: `:parent` is no name that rules may use"},
        {RULE("[\"create\"]", "new.s = 'x"), "", "", "/x-rules/0/broken_when: a text in it has no end"},
        {RULE("[\"create\"]", "true; DROP TABLE a"), "", "",
         "/x-rules/0/broken_when: a comment, `;`, `$` and `\\` have no place in it"},
        {",\"x-rules\":[{\"verbs\":[\"create\"],\"detail\":\"No.\",\"pointer\":\"/"
         "x\",\"broken_when\":\"true\"}]",
         "", "", "/x-rules/0/pointer: must be \"/\" and the name of a field"},
        {COMPUTED("delete", "s", "''"), "", "",
         "/x-compute/delete: must be create or update, and a verb of the resource"},
        {COMPUTED("create", "version", "1"), "", "",
         "/x-compute/create/version: `version` is set by the server"},
        {COMPUTED("create", "s", "t.s"), "", "", "/x-compute/create/s: `t` is not known here"},
        {"", ",\"x-reference\":{\"to\":\"b\"}", "",
         "/properties/u/x-reference: `to` must be the name of a resource, or user"},
        {"", ",\"x-reference\":{\"to\":\"a\",\"within\":\"b_id\"}", "",
         "/properties/u/x-reference/within: must be the id of the parent, which both have"},
        {"", "", ",\"x-reference\":{\"to\":\"a\"}",
         "/properties/r/x-reference: a reference is a uuid that a client gives"},
        {"", "", ",\"x-number\":{\"prefix\":\"no\"}",
         "/properties/r/x-number: `prefix` must be capital letters and digits"},
        {"", ",\"x-number\":{\"prefix\":\"A\"}", "",
         "/properties/u/x-number: is for one field that is read-only, never null, and given by a create"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_rules_refused(*state, cases[i].rules, cases[i].of_u, cases[i].of_r, cases[i].expected);
}

/* Resource a, with a number `n` that follows, has sums over its child b, with a number `v`. */
static void assert_sums_refused(const struct folder *folder, const char *of_a, const char *of_b,
                                const char *expected)
{
    static const char *const numbers = "\"type\":\"number\",\"minimum\":0,\"maximum\":9,\"multipleOf\":0.01";
    CLEANUP(buf_done) struct buf schema;
    buf_init(&schema, 65536);
    buf_printf(&schema,
               HEAD("a.json") "," RESOURCE("a") "," RIGHTS "%s," OBJECT(
                   SERVER ",\"n\":{\"x-id\":5,%s,\"readOnly\":true,\"default\":0},"
                          "\"g\":{\"x-id\":6,\"type\":\"boolean\",\"default\":false},"
                          "\"b_id\":{\"x-id\":7,\"type\":[\"string\",\"null\"],\"format\":\"uuid\"}") "}",
               of_a, numbers);
    buf_append_char(&schema, '\0');
    put_file(folder, "a.json", buf_data(&schema));
    buf_clear(&schema);
    buf_printf(&schema,
               HEAD("b.json") "," RESOURCE_WITH("b", ",\"parent\":\"a\"") "," RIGHTS "%s," OBJECT(
                   SERVER ",\"a_id\":{\"x-id\":5,\"type\":\"string\",\"format\":\"uuid\",\"readOnly\":true},"
                          "\"v\":{\"x-id\":6,%s,\"default\":0},"
                          "\"o\":{\"x-id\":7,\"type\":[\"string\",\"null\"],\"format\":\"uuid\"}") "}",
               of_b, numbers);
    buf_append_char(&schema, '\0');
    put_file(folder, "b.json", buf_data(&schema));
    assert_folder_refused(folder, expected);
}

#define SUM(members)    ",\"x-sum\":{" members "}"
#define OVER_B(members) SUM("\"s\":{\"of\":\"b\"," members "}")

static void test_resource_when_a_sum_makes_no_sense_then_refused(void **state)
{
    static const struct {
        const char *of_a, *of_b, *expected;
    } cases[] = {
        {OVER_B("\"value\":\"child.v\""), "", "accepted"},
        {SUM("\"n\":{\"is\":\"CASE WHEN new.g AND :at > new.created_at THEN 1 END\"}"), "", "accepted"},
        {SUM(""), "", "a.json:1#/x-sum: must be an object: of a column, what it is a sum of, or what it is"},
        {SUM("\"s\":{\"of\":\"c\",\"value\":\"1\"}"), "",
         "a.json:1#/x-sum/s/of: must be the name of a resource"},
        {OVER_B("\"weight\":2"), "", "a.json:1#/x-sum/s: `weight` is not supported here"},
        {OVER_B("\"value\":\"\""), "", "a.json:1#/x-sum/s/value: `value` must be SQL: a text, or its lines"},
        {OVER_B("\"value\":\"child.x\""), "", "a.json:1#/x-sum/s/value: `child.x`: there is no such column"},
        {OVER_B("\"value\":\"new.n\""), "", "a.json:1#/x-sum/s/value: `new` is not known here, only `child`"},
        {OVER_B("\"value\":\"(SELECT 1)\""), "",
         "a.json:1#/x-sum/s/value: `SELECT`: a value must follow from the row alone"},
        {OVER_B("\"value\":\"1\",\"when\":\"child.v < :at\""), "",
         "a.json:1#/x-sum/s/when: a parameter, a comment, `;`, `$` and `\\` have no place in it"},
        {OVER_B("\"by\":\"v\",\"value\":\"1\""), "",
         "a.json:1#/x-sum/s/by: `by` must be a column of b that has the id of the a"},
        {SUM("\"s\":{\"of\":\"b\",\"value\":\"1\"},\"r\":{\"of\":\"b\",\"by\":\"o\",\"value\":\"1\"}"), "",
         "a.json:1#/x-sum/r/by: the other sums over b go by `a_id`"},
        {SUM("\"g\":{\"of\":\"b\",\"value\":\"1\"}"), "",
         "a.json:1#/x-sum/g: a field that is a sum is a number, read-only, never null and 0 by default"},
        {SUM("\"version\":{\"of\":\"b\",\"value\":\"1\"}"), "",
         "a.json:1#/x-sum/version: `version` is set by the server"},
        {SUM("\"m\":{\"is\":\"1\"}"), "",
         "a.json:1#/x-sum/m: there is no such field, and nobody would see what it is"},
        {SUM("\"g\":{\"is\":\"true\"}"), "",
         "a.json:1#/x-sum/g: a client gives this field: what it is must follow from what was given, too"},
        {SUM("\"n\":{\"is\":\"new.s\"}"), "", "a.json:1#/x-sum/n/is: `new.s`: there is no such column"},
        {SUM("\"n\":{\"is\":\"now()\"}"), "",
         "a.json:1#/x-sum/n/is: `now`: a value must follow from the row alone"},
        {OVER_B("\"value\":\"1\""), SUM("\"v2\":{\"of\":\"a\",\"by\":\"b_id\",\"value\":\"1\"}"),
         "a.json:1#/x-resource: a change of a reaches a on two ways, or in a circle"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_sums_refused(*state, cases[i].of_a, cases[i].of_b, cases[i].expected);
}

static void test_resource_when_an_audience_makes_no_sense_then_refused(void **state)
{
#define HEARD(members) ",\"x-audience\":{" members "}"
    static const struct {
        const char *of_b, *of_a, *expected;
    } cases[] = {
        {HEARD("\"create\":\"nobody\",\"delete\":[\"sender\"],\"cancel\":\"nobody\""), "", "accepted"},
        {HEARD("\"update\":[\"o\",\"sender\"]"), "", "accepted"},
        {HEARD(""), "", "b.json:1#/x-audience: must be an object: of at most 8 commands, who hears of them"},
        {HEARD("\"create\":\"everybody\""), "",
         "b.json:1#/x-audience/create: must be \"nobody\", or an array of fields that name users"},
        {HEARD("\"create\":7"), "",
         "b.json:1#/x-audience/create: must be \"nobody\", or an array of fields that name users"},
        {HEARD("\"create\":[]"), "", "b.json:1#/x-audience/create: must not be empty: \"nobody\" says that"},
        {HEARD("\"create\":[\"v\"]"), "",
         "b.json:1#/x-audience/create/0: must be the name of a field of the format uuid, or \"sender\""},
        {HEARD("\"delete\":[\"o\"]"), "",
         "b.json:1#/x-audience/delete/0: the event of a delete says only who sent it: \"sender\""},
        {HEARD("\"cancel\":[\"sender\"]"), "",
         "b.json:1#/x-audience/cancel: is for create, update and delete: of others it can only be "
         "\"nobody\""},
        {HEARD("\"update\":\"nobody\""), OVER_B("\"value\":\"child.v\""),
         "b.json:1#/x-audience/update: what changes the sums of others cannot be kept from those who see "
         "them"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_sums_refused(*state, cases[i].of_a, cases[i].of_b, cases[i].expected);
}

static void test_resources_when_two_have_a_channel_then_refused(void **state)
{
    put_file(*state, "a.json",
             HEAD("a.json") "," RESOURCE_WITH("a", ",\"channel\":true") "," RIGHTS "," OBJECT(SERVER) "}");
    put_file(*state, "b.json",
             HEAD("b.json") "," RESOURCE_WITH("b", ",\"channel\":true") "," RIGHTS "," OBJECT(SERVER) "}");
    assert_folder_refused(*state,
                          "a.json:1#/x-resource: b.json has a channel already, and an event goes to one");
}

/* A resource of a project, which has an assignee and names a member, with these rights and one more field. */
static void assert_rights_refused(const struct folder *folder, const char *rights, const char *field,
                                  const char *expected)
{
    CLEANUP(buf_done) struct buf schema;
    char whole[256];
    buf_init(&schema, 65536);
    put_file(folder, "a.json",
             HEAD("a.json") "," RESOURCE_WITH("a", ",\"channel\":true") "," RIGHTS "," OBJECT(SERVER) "}");
    buf_printf(&schema,
               HEAD("b.json") "," RESOURCE_WITH(
                   "b",
                   ",\"parent\":\"a\",\"verbs\":[\"create\","
                   "\"get\",\"update\"]") ",\"x-rights\":%s," OBJECT(SERVER
                                                                     ",\"a_id\":{\"x-id\":5,\"type\":"
                                                                     "\"string\",\"format\":\"uuid\","
                                                                     "\"readOnly\":true},\"assignee_id\":{"
                                                                     "\"x-id\":6,\"type\":[\"string\","
                                                                     "\"null\"],\"format\":\"uuid\","
                                                                     "\"x-tie\":\"assignee\"},\"user_id\":{"
                                                                     "\"x-id\":8,\"type\":[\"string\","
                                                                     "\"null\"],\"format\":\"uuid\","
                                                                     "\"x-tie\":\"member\"}%s") "}",
               rights, field);
    buf_append_char(&schema, '\0');
    put_file(folder, "b.json", buf_data(&schema));
    snprintf(whole, sizeof(whole), "%s%s", *expected ? "b.json:1#" : "accepted", expected);
    assert_folder_refused(folder, whole);
}

static void test_rights_when_they_name_what_is_not_then_refused(void **state)
{
#define MAY(rights) "{\"operative\":{" rights "}}"
    static const char cost[] = ",\"cost\":{\"x-id\":7,\"type\":\"boolean\",\"default\":false,\"x-class\":";
    static const struct {
        const char *rights, *class, *expected;
    } cases[] = {
        {MAY("\"read\":[\"member\",\"assignee\"]"), "\"money\"}", ""},
        {"{}", "\"personal\"}", ""},
        {"[]", "\"money\"}", "/x-rights: must be an object: of a role, its rights"},
        {"{\"king\":{}}", "\"money\"}",
         "/x-rights/king: must be the name of a role, a row of common/msg/roles.def"},
        {"{\"operative\":\"any\"}", "\"money\"}",
         "/x-rights/operative: must be an object: of a right, its condition"},
        {MAY("\"paint\":\"any\""), "\"money\"}",
         "/x-rights/operative/paint: must be create, read, update or delete"},
        {MAY("\"delete\":\"any\""), "\"money\"}",
         "/x-rights/operative/delete: x-resource has no verb for it"},
        {MAY("\"read\":\"owner\""), "\"money\"}",
         "/x-rights/operative/read: must be any, member, manager, assignee, creator or self"},
        {MAY("\"read\":[]"), "\"money\"}",
         "/x-rights/operative/read: must not be empty: what is left out nobody may do"},
        {MAY("\"read\":\"creator\""), "\"money\"}",
         "/x-rights/operative/read: no field names this user (x-tie)"},
        {MAY("\"create\":\"assignee\""), "\"money\"}",
         "/x-rights/operative/create: is for entities that there are already"},
        {MAY("\"read\":\"any\""), "\"gold\"}",
         "/properties/cost/x-class: must be the name of a class, a row of common/msg/roles.def"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char field[256];
        snprintf(field, sizeof(field), "%s%s", cost, cases[i].class);
        assert_rights_refused(*state, cases[i].rights, field, cases[i].expected);
    }
}

static void test_rights_when_the_resource_has_no_project_or_makes_one_then_members_are_refused(void **state)
{
    put_file(*state, "a.json",
             HEAD("a.json") "," RESOURCE("a") ",\"x-rights\":{\"operative\":{\"read\":\"member\"}}," OBJECT(
                 SERVER) "}");
    assert_folder_refused(*state,
                          "a.json:1#/x-rights/operative/read: the resource does not belong to a project");
    put_file(*state, "a.json",
             HEAD("a.json") "," RESOURCE_WITH("a", ",\"channel\":true") ",\"x-rights\":{\"operative\":{"
                                                                        "\"create\":\"member\"}}," OBJECT(
                                                                            SERVER) "}");
    assert_folder_refused(*state, "a.json:1#/x-rights/operative/create: what is created has no members yet");
}

static void test_class_when_everybody_must_see_the_field_then_refused(void **state)
{
    put_file(*state, "a.json",
             HEAD("a.json") "," RESOURCE(
                 "a") ",\"x-rights\":{\"operative\":{\"create\":\"any\"}},\"required\":["
                      "\"cost\"]," OBJECT(SERVER ",\"cost\":{\"x-id\":5,\"type\":\"boolean\","
                                                 "\"x-class\":\"money\"}") "}");
    assert_folder_refused(*state,
                          "a.json:1#/properties/cost/x-class: operative may create, and a create needs "
                          "the field, which it does not see");
}

/* The line is that of the place, whatever stands before it. */
static void test_refusal_when_the_file_has_lines_then_it_names_the_line(void **state)
{
    put_file(
        *state, "a.json",
        HEAD("a.json") ",\n\"description\":\"a \\\"x-rights\\\": {[\",\n" RESOURCE(
            "a") ",\n"
                 "\"x-rights\":{\"developer\":{\n\"read\":[\"any\",\n\"ruler\"]}},\n" OBJECT(SERVER) "}");
    assert_folder_refused(*state,
                          "a.json:6#/x-rights/developer/read/1: must be any, member, manager, assignee, "
                          "creator or self");
}

static void test_files_when_two_resources_share_a_name_then_refused(void **state)
{
    put_file(*state, "a.json", GOOD("a.json", "a"));
    put_file(*state, "b.json", GOOD("b.json", "a"));
    assert_folder_refused(*state, "b.json:1#/x-resource: name, collection or table is that of a.json");
}

static void test_files_when_right_then_references_between_them_are_followed(void **state)
{
    const struct folder *folder = *state;
    struct schema_set set;
    char why[SCHEMA_WHY_MAX] = "";
    put_file(folder, "types.json",
             HEAD("types.json") ",\"$defs\":{\"state\":{\"type\":\"string\",\"enum\":[\"on\",\"off\"]}}}");
    put_file(folder, "a.json",
             HEAD("a.json") "," RESOURCE("a") "," RIGHTS "," OBJECT(
                 SERVER ",\"state\":{\"x-id\":9,\"$ref\":\"types.json#/$defs/"
                        "state\",\"default\":\"on\",\"x-column\":\"st\","
                        "\"description\":\"d\"}") "}");
    if (schema_set_load(&set, folder->path, why))
        fail_msg("%s", why);
    assert_int_equal(set.message_count, 1);
    const struct msg_resource *resource = &set.messages[0].resource;
    const struct msg_field *state_field = &resource->object->fields[4];
    assert_string_equal(resource->collection, "as");
    assert_string_equal(state_field->name, "state");
    assert_string_equal(state_field->column, "st");
    assert_string_equal(state_field->fallback, "on");
    assert_string_equal(state_field->shape.allowed[1], "off");
    assert_int_equal(resource->object->fields[0].shape.max_length, 36);
    assert_non_null(
        strstr(resource->json, "\"state\":{\"type\":\"string\",\"enum\":[\"on\",\"off\"],\"x-id\":9"));
    assert_null(strstr(resource->json, "$ref"));
    schema_set_done(&set);
}

static void test_folder_when_it_is_not_there_then_refused(void **state)
{
    (void)state;
    struct schema_set set;
    char why[SCHEMA_WHY_MAX];
    assert_int_equal(schema_set_load(&set, "/nowhere", why), ERR_VALIDATION);
    assert_string_equal(why, "/nowhere: the folder cannot be read");
}

int main(void)
{
#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_when_a_bound_is_missing_then_refused),
        cmocka_unit_test(test_field_when_a_keyword_is_not_supported_then_refused),
        cmocka_unit_test(test_field_when_a_keyword_does_not_suit_then_refused),
        cmocka_unit_test(test_field_when_a_value_is_wrong_then_refused),
        cmocka_unit_test(test_field_when_its_annotations_are_wrong_then_refused),
        cmocka_unit_test(test_object_when_ids_repeat_then_refused),
        cmocka_unit_test(test_object_when_required_is_wrong_then_refused),
        cmocka_unit_test(test_object_when_a_name_is_no_identifier_then_refused),
        cmocka_unit_test(test_object_when_it_has_too_many_fields_then_refused),
        cmocka_unit_test(test_reference_when_it_leads_nowhere_or_in_a_circle_then_refused),
        cmocka_unit_test(test_shape_when_nested_too_deeply_then_refused),
        IN_FOLDER(test_file_when_wrong_as_a_whole_then_refused_with_its_name),
        IN_FOLDER(test_resource_when_a_word_makes_no_sense_then_refused),
        IN_FOLDER(test_resource_when_a_rule_names_what_is_not_then_refused),
        IN_FOLDER(test_resource_when_a_sum_makes_no_sense_then_refused),
        IN_FOLDER(test_resource_when_an_audience_makes_no_sense_then_refused),
        IN_FOLDER(test_resources_when_two_have_a_channel_then_refused),
        IN_FOLDER(test_rights_when_they_name_what_is_not_then_refused),
        IN_FOLDER(test_rights_when_the_resource_has_no_project_or_makes_one_then_members_are_refused),
        IN_FOLDER(test_class_when_everybody_must_see_the_field_then_refused),
        IN_FOLDER(test_refusal_when_the_file_has_lines_then_it_names_the_line),
        IN_FOLDER(test_files_when_two_resources_share_a_name_then_refused),
        IN_FOLDER(test_files_when_right_then_references_between_them_are_followed),
        cmocka_unit_test(test_folder_when_it_is_not_there_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
