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

test("test_generate_when_a_resource_has_an_array_or_an_object_then_refused_because_nothing_would_store_it", () => {
  const fields = {
    array: { type: "array", maxItems: 5, items: { type: "string", maxLength: 20 } },
    object: { type: "object", additionalProperties: false, properties: { street: { "x-id": 1, type: "string", maxLength: 20 } } },
  };
  for (const [type, field] of Object.entries(fields))
    for (const wrapped of [field, { ...field, type: [type, "null"] }]) {
      change("task.json", (task) => { task.properties.tags = { "x-id": 19, ...wrapped }; });
      for (const refused of [generate(), schemac("--update-lock", folder)])
        assert.deepEqual(refused, { status: 1, stderr: `schemac: task.json:1#/properties/tags: a resource cannot store an ${type}: make it a resource of its own` });
    }
  change("task.json", (task) => {
    delete task.properties.tags;
    task.$defs = { tags: fields.array };
    task.properties.tags = { "x-id": 19, $ref: "#/$defs/tags" };
  });
  assert.match(generate().stderr, /task\.json:1#\/properties\/tags: a resource cannot store an array/);
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
    /^ {4}FOREIGN KEY \(company_id, parent_task_id\) REFERENCES task ON DELETE SET NULL \(parent_task_id\)$/m, /^SELECT resource_rights\('task', '\{create,update,delete\}'\);$/m,
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
