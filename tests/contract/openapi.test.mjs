// The document that the gateway serves, judged by a validator that others wrote.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Validator } from "@seriousme/openapi-schema-validator";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const build = process.env.CORTEX_BUILD ?? join(root, "build/asan");

function printed() {
  const run = spawnSync(join(build, "gateway/tools/cortex-openapi"), { encoding: "utf8" });
  assert.equal(run.status, 0, run.stderr || String(run.error));
  return JSON.parse(run.stdout);
}

const document = printed();

function referenced(pointer) {
  assert.match(pointer, /^#\/components\//);
  return pointer.slice(2).split("/").reduce((at, name) => at?.[name], document);
}

function* referencesIn(value) {
  if (value === null || typeof value !== "object") return;
  if (typeof value.$ref === "string") yield value.$ref;
  for (const inner of Object.values(value)) yield* referencesIn(inner);
}

function operations() {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
}

test("test_document_when_validated_by_others_then_it_is_openapi_3_1", async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  assert.ok(result.valid, JSON.stringify(result.errors, null, 2));
  assert.equal(validator.version, "3.1");
});

test("test_references_when_followed_then_they_lead_somewhere", () => {
  const all = [...referencesIn(document)];
  assert.ok(all.length > 50);
  for (const reference of all) assert.ok(referenced(reference), reference);
});

test("test_operations_when_listed_then_their_ids_are_unique_and_their_parameters_complete", () => {
  const ids = operations().map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length, ids.join(" "));
  assert.ok(!ids.some((id) => id.startsWith("call")), "a route whose verb gateway/openapi/operation.c does not describe");
  for (const { path, operation } of operations()) {
    const inPath = (operation.parameters ?? []).filter((p) => p.in === "path").map((p) => p.name);
    assert.deepEqual(inPath, [...path.matchAll(/{(\w+)}/g)].map((match) => match[1]), path);
  }
});

test("test_project_variants_when_derived_then_server_fields_are_only_in_answers", () => {
  const { Project, ProjectCreate, ProjectUpdate, ProjectList } = document.components.schemas;
  assert.deepEqual(ProjectCreate.required, ["name"]);
  assert.equal(ProjectUpdate.required, undefined);
  assert.deepEqual([...Project.required].sort(), Object.keys(Project.properties).sort());
  for (const name of ["id", "number", "version", "created_at", "progress", "actual_cost"]) {
    assert.ok(Project.properties[name].readOnly, name);
    assert.equal(ProjectCreate.properties[name], undefined);
    assert.equal(ProjectUpdate.properties[name], undefined);
  }
  assert.equal(ProjectCreate.properties.status.default, "planning");
  assert.equal(ProjectUpdate.properties.status.default, undefined);
  assert.equal(ProjectCreate.properties.budget.maximum, 999999999999.99);
  assert.equal(ProjectCreate.additionalProperties, false);
  assert.equal(ProjectList.properties.data.items.$ref, "#/components/schemas/Project");
  assert.doesNotMatch(JSON.stringify(document), /"x-(id|filter|search|column|create-only)"/);
});

test("test_lists_when_described_then_their_filters_are_query_parameters", () => {
  const names = document.paths["/v1/projects"].get.parameters
    .map((parameter) => parameter.name ?? parameter.$ref.split("/").at(-1));
  for (const name of ["limit", "after", "text", "status", "priority", "manager_id", "archived"])
    assert.ok(names.includes(name), name);
});

test("test_security_when_a_route_is_public_then_it_alone_needs_no_token", () => {
  assert.deepEqual(document.security, [{ bearer: [] }]);
  for (const { path, operation } of operations())
    assert.equal(operation.security?.length === 0, !path.startsWith("/v1/"), path);
});
