// schemac as the build and people call it: on a copy of the real schemas, changed as people change them.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const build = process.env.CORTEX_BUILD ?? join(root, "build/asan");
const committed = join(root, "schemas/messages");
let folder;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "schemac-"));
  cpSync(committed, folder, { recursive: true });
});

afterEach(() => rmSync(folder, { recursive: true }));

function schemac(...args) {
  const run = spawnSync(join(build, "schemas/schemac"), args, { encoding: "utf8" });
  assert.equal(run.error, undefined);
  return { status: run.status, stderr: run.stderr.trim() };
}

function change(file, edit) {
  const path = join(folder, file);
  const schema = JSON.parse(readFileSync(path, "utf8"));
  edit(schema);
  writeFileSync(path, JSON.stringify(schema));
}

const generate = () => schemac("--generate", folder, join(folder, "tables.c"));

test("test_generate_when_the_lock_agrees_then_tables_without_logic", () => {
  assert.deepEqual(generate(), { status: 0, stderr: "" });
  const tables = readFileSync(join(folder, "tables.c"), "utf8");
  assert.match(tables, /const struct msg_resource \*const msg_resources\[\] = \{[^}]*&resource_project,[^}]*&resource_revocation,[^}]*&resource_task,/);
  assert.doesNotMatch(tables, /\b(if|for|while|return)\b\s*\(/);
});

test("test_generate_when_a_field_is_new_then_the_lock_must_be_updated_first", () => {
  change("task.json", (task) => { task.properties.color = { "x-id": 19, type: ["string", "null"], maxLength: 20 }; });
  const refused = generate();
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /task\.color \(x-id 19\): the lock does not say so: \.\/cortex schemas writes it/);
  assert.deepEqual(schemac("--update-lock", folder), { status: 0, stderr: "" });
  assert.equal(generate().status, 0);
  assert.match(readFileSync(join(folder, "fields.lock"), "utf8"), /^task color 19 string optional$/m);
  assert.equal(schemac("--check-compatible", committed, folder).status, 0);
});

test("test_update_lock_when_a_field_went_then_its_id_is_retired_and_never_given_again", () => {
  change("task.json", (task) => { delete task.properties.position; });
  assert.equal(schemac("--update-lock", folder).status, 0);
  assert.match(readFileSync(join(folder, "fields.lock"), "utf8"), /^task position 13 integer retired$/m);
  assert.equal(generate().status, 0);
  change("task.json", (task) => { task.properties.color = { "x-id": 13, type: ["string", "null"], maxLength: 20 }; });
  for (const refused of [generate(), schemac("--update-lock", folder), schemac("--check-compatible", committed, folder)])
    assert.equal(refused.status, 1);
  assert.match(schemac("--update-lock", folder).stderr, /x-id was that of `position`, which is retired/);
});

test("test_update_lock_when_what_is_released_is_known_then_a_newer_id_is_taken_back_and_no_other", () => {
  const released = join(committed, "fields.lock");
  const color = { "x-id": 19, type: ["string", "null"], maxLength: 20 };
  change("task.json", (task) => { task.properties.color = color; });
  assert.equal(schemac("--update-lock", folder, released).status, 0);
  change("task.json", (task) => {
    delete task.properties.color;
    delete task.properties.position;
    task.properties.crew = { "x-id": 19, type: ["integer", "null"], minimum: 1, maximum: 9 };
  });
  assert.match(schemac("--update-lock", folder).stderr, /task\.crew \(x-id 19\): this x-id is that of `color`/);
  const run = spawnSync(join(build, "schemas/schemac"), ["--update-lock", folder, released], { encoding: "utf8" });
  assert.deepEqual([run.status, run.stdout], [0, "task.position is retired (x-id 13)\ntask.color is taken back (x-id 19)\n"]);
  const lock = readFileSync(join(folder, "fields.lock"), "utf8");
  assert.match(lock, /^task position 13 integer retired$/m);
  assert.match(lock, /^task crew 19 integer optional$/m);
  assert.equal(generate().status, 0);
  assert.equal(schemac("--update-lock", folder, join(folder, "nothing")).status, 1);
});

test("test_update_lock_when_a_new_field_is_required_then_refused_and_the_lock_stays", () => {
  const before = readFileSync(join(folder, "fields.lock"), "utf8");
  change("task.json", (task) => {
    task.properties.color = { "x-id": 19, type: ["string", "null"], maxLength: 20 };
    task.required.push("color");
  });
  const refused = schemac("--update-lock", folder);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /task\.color \(x-id 19\): a new field cannot be required/);
  assert.equal(readFileSync(join(folder, "fields.lock"), "utf8"), before);
});

test("test_generate_when_a_schema_is_refused_then_file_and_pointer_are_named_and_nothing_is_written", () => {
  change("project.json", (project) => { project.properties.name.pattern = "^x"; });
  const refused = generate();
  assert.equal(refused.status, 1);
  assert.equal(refused.stderr, "schemac: project.json:1#/properties/name/pattern: keyword `pattern` is not supported");
  assert.throws(() => readFileSync(join(folder, "tables.c")));
});

test("test_generate_when_a_resource_has_an_array_or_an_object_then_its_column_is_jsonb_and_no_filter", () => {
  const fields = {
    tags: { "x-id": 19, type: "array", maxItems: 5, default: ["new"], items: { type: "string", maxLength: 20 } },
    place: { "x-id": 20, type: ["object", "null"], additionalProperties: false, properties: { street: { "x-id": 1, type: "string", maxLength: 20 } } },
  };
  change("task.json", (task) => { Object.assign(task.properties, fields); });
  assert.deepEqual(schemac("--update-lock", folder), { status: 0, stderr: "" });
  assert.deepEqual(generate(), { status: 0, stderr: "" });
  assert.match(readFileSync(join(folder, "fields.lock"), "utf8"), /^task place\.street 1 string optional$/m);
  const { stdout } = spawnSync(join(build, "schemas/schemac"), ["--migration", join(folder, "task.json")], { encoding: "utf8" });
  assert.match(stdout, /^ {4}tags +jsonb +NOT NULL DEFAULT '\["new"\]' CHECK \(jsonb_typeof\(tags\) = 'array' AND jsonb_array_length\(tags\) BETWEEN 0 AND 5\),$/m);
  assert.match(stdout, /^ {4}place +jsonb +CHECK \(jsonb_typeof\(place\) = 'object'\),$/m);
  change("task.json", (task) => { task.properties.tags["x-filter"] = true; });
  assert.match(generate().stderr, /task\.json:1#\/properties\/tags: x-filter is for single values/);
  change("task.json", (task) => { delete task.properties.tags["x-filter"]; task.properties.place.required = ["street"]; });
  assert.match(generate().stderr, /task\.json:1#\/properties\/place: an object that is a field of a resource cannot require `street`/);
});

test("test_generate_when_the_words_of_a_field_make_no_sense_then_refused_with_its_line", () => {
  const statuses = { "": ["draft"], draft: ["sent"], sent: [] };
  const status = (rows) => ({ "x-id": 90, type: "string", enum: ["draft", "sent"], default: "draft", "x-transitions": rows });
  const number = (more) => ({ "x-id": 91, type: ["string", "null"], maxLength: 32, readOnly: true, "x-number": { prefix: "A", when: { phase: "sent" }, ...more } });
  for (const [fields, words] of [
    [{ phase: status({ ...statuses, "": ["sent"] }) }, "phase/x-transitions/: the default `draft` is not among them"],
    [{ phase: status({ ...statuses, "": [] }) }, "phase/x-transitions/: is for values with which a create may begin"],
    [{ phase: status({ ...statuses, draft: { gone: {} } }) }, "phase/x-transitions/draft/gone: `gone` is no value of the enum"],
    [{ phase: status({ ...statuses, draft: { sent: { done: {} } } }) }, "phase/x-transitions/draft/sent: `done` is not supported here"],
    [{ phase: status({ ...statuses, draft: { draft: {} } }) }, "phase/x-transitions/draft/draft: a value may always stay"],
    [{ phase: status({ ...statuses, draft: { sent: { filled: ["name"] } } }) }, "phase/x-transitions/draft/sent/filled/0: must be the name of a field that may be null"],
    [{ phase: status({ ...statuses, draft: { sent: { set: { completed_at: "actor" } } } }) },
      'phase/x-transitions/draft/sent/set/completed_at: must be "now" (of a time), "actor" (of a uuid) or null'],
    [{ phase: status({ ...statuses, draft: { sent: { set: { title: "now" } } } }) }, "phase/x-transitions/draft/sent/set/title: `title` is no read-only field"],
    [{ phase: status({ ...statuses, draft: { sent: { set: { completed_at: "now" } } } }) }, "phase/x-transitions: `completed_at` is computed twice"],
    [{ phase: status(statuses), code: number({ when: { phase: "gone" } }) }, "code/x-number/when: `gone` is no value of `phase`"],
    [{ phase: status(statuses), code: number({ when: "sent" }) }, 'code/x-number/when: must be {"status": "sent"}: a field with x-transitions, and its value'],
    [{ phase: status({ draft: ["sent"], sent: [] }), code: number() }, 'code/x-number/when: x-transitions of `phase` must say under "" that no create begins as sent'],
    [{ phase: status(statuses), code: number({ per: "month" }) }, 'code/x-number: `per` must be "year", "parent" (where there is one) or left out'],
    [{ code: { "x-id": 91, type: ["string", "null"], maxLength: 9, "x-tie": "self" } }, "code/x-tie: is for a field of the format uuid"],
    [{ code: { "x-id": 91, $ref: "types.json#/$defs/optional-uuid", "x-tie": "any" } }, "code/x-tie: must be member, manager, assignee, creator, self or until"],
    [{ code: { "x-id": 91, $ref: "types.json#/$defs/optional-uuid", "x-tie": "assignee" } }, "code/x-tie: another field of the resource has this tie"],
    [{ code: { "x-id": 91, $ref: "types.json#/$defs/optional-uuid", "x-tie": "manager" } }, "code/x-tie: the manager is named by what has a channel of its own"],
    [{ code: { "x-id": 91, $ref: "types.json#/$defs/optional-uuid", "x-tie": "member" } }, "code/x-tie: another field has this tie"],
    [{ code: { "x-id": 91, $ref: "types.json#/$defs/optional-date", "x-tie": "until" } }, "code/x-tie: `until` needs a field before it whose x-tie is member"],
    [{ code: { "x-id": 91, type: ["string", "null"], maxLength: 9, "x-unique": "world" } }, 'code/x-unique: must be "company" or, of a resource with a parent, "parent"'],
    [{ code: { "x-id": 91, type: ["string", "null"], maxLength: 9, readOnly: true, "x-unique": "company" } }, "code/x-unique: is for single values that a client gives"],
    [{ assignee_id: { "x-id": 7, "x-tie": "assignee", type: ["string", "null"], format: "uuid" },
      code: { "x-id": 91, type: ["string", "null"], maxLength: 9, "x-unique": "parent", "x-filter": true, "x-indexed": true } }, "code/x-unique: x-indexed cannot stand beside it"],
    [{ code: { "x-id": 91, type: "string", format: "uuid", "x-create-only": true, "x-reference": { to: "task", holds: false } } },
      "code: must be required, be nullable or have a default: what is it when a client leaves it out?"],
    [{ code: { "x-id": 91, type: ["string", "null"], format: "uuid", "x-reference": { to: "user", holds: true } } }, "code/x-reference/holds: users are not deleted"],
  ]) {
    cpSync(committed, folder, { recursive: true });
    change("task.json", (task) => { Object.assign(task.properties, fields); });
    assert.equal(generate().stderr, `schemac: task.json:1#/properties/${words}`);
  }
});

test("test_generate_when_x_resource_makes_no_sense_then_refused_with_its_line", () => {
  for (const [file, member, value, words] of [
    ["task.json", "single", true, "/single: what a company has one of has no parent, and of the verbs only get and update"],
    ["project.json", "goes_with_parent", true, "/goes_with_parent: must be true or false, of a resource with a parent"],
    ["client.json", "export", true, "/export: must be false, of a resource that has a list"],
    ["client.json", "channel", "name", ": `channel`: `name` must be an x-create-only x-reference to what has a channel"],
  ]) {
    cpSync(committed, folder, { recursive: true });
    change(file, (schema) => { schema["x-resource"][member] = value; });
    assert.equal(generate().stderr, `schemac: ${file}:1#/x-resource${words}`);
  }
});

test("test_generate_when_a_field_may_be_left_out_and_has_no_value_then_refused", () => {
  change("task.json", (task) => { task.properties.color = { "x-id": 19, type: "string", maxLength: 20 }; });
  assert.match(generate().stderr, /task\.json:1#\/properties\/color: must be required, be nullable or have a default/);
});

test("test_migration_when_printed_then_its_columns_are_those_of_the_schema", () => {
  const { stdout, status } = spawnSync(join(build, "schemas/schemac"), ["--migration", join(folder, "task.json")], { encoding: "utf8" });
  assert.equal(status, 0);
  for (const line of [/^CREATE TABLE task \($/m, /^ {4}estimated_hours numeric\(8, 2\) CHECK \(estimated_hours BETWEEN 0 AND 100000\),$/m,
    /^ {4}FOREIGN KEY \(company_id, project_id\) REFERENCES project ON DELETE CASCADE,$/m,
    /^ {4}FOREIGN KEY \(company_id, parent_task_id\) REFERENCES task ON DELETE SET NULL \(parent_task_id\)$/m, /^SELECT resource_rights\('task', '\{create,update,delete\}', 'projects'\);$/m,
    /^SELECT text_search_begin\('task', '\{title,description\}'\);$/m])
    assert.match(stdout, line);
  assert.equal(schemac("--migration", join(folder, "schedule.json")).status, 1);
  assert.match(schemac("--migration", join(folder, "garden.json")).stderr, /garden\.json is not the schema of a resource/);
});

test("test_generate_when_a_request_has_arrays_and_objects_then_they_are_read", () => {
  change("schedule.json", (schedule) => {
    schedule.properties.days = { "x-id": 9, type: "array", maxItems: 7, items: { type: "integer", minimum: 0, maximum: 6 } };
  });
  assert.deepEqual(schemac("--update-lock", folder), { status: 0, stderr: "" });
  assert.deepEqual(generate(), { status: 0, stderr: "" });
});

test("test_schemac_when_called_wrongly_then_it_says_how", () => {
  for (const args of [[], ["--generate"], ["--what"], ["--update-lock", folder, committed, "more"]]) {
    const run = schemac(...args);
    assert.equal(run.status, 2);
    assert.match(run.stderr, /--check-compatible OLD NEW/);
  }
});
