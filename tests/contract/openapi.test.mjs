// The document that the gateway serves, judged by a validator that others wrote.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import spectral from "@stoplight/spectral-core";
import rulesets from "@stoplight/spectral-rulesets";

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

test("test_document_when_linted_by_redocly_as_recommended_then_no_warning", async () => {
  const config = await createConfig({ extends: ["recommended"] });
  const problems = await lintFromString({ source: JSON.stringify(document), config });
  assert.deepEqual(problems.map(({ ruleId, message, location }) => `${ruleId} ${location[0]?.pointer} ${message}`), []);
});

test("test_document_when_linted_by_spectral_as_recommended_then_no_warning", async () => {
  const linter = new spectral.Spectral();
  linter.setRuleset({ extends: [[rulesets.oas, "recommended"]] });
  const problems = await linter.run(structuredClone(document));
  assert.deepEqual(problems.map(({ code, path, message }) => `${code} ${path.join("/")} ${message}`), []);
});

test("test_operations_when_named_then_by_a_verb_and_what_it_is_done_to", () => {
  for (const { path, operation } of operations())
    assert.match(operation.operationId, /^(get|list|create|update|put|delete|cancel|download|resize|run|replay|drop|rotate|recover|resend|test|receive|preview)([A-Z][a-z]+)+$/, path);
});

test("test_events_when_workers_cause_them_then_each_type_is_in_the_document", () => {
  const rows = [...readFileSync(join(root, "workers/handlers.def"), "utf8").matchAll(/^COMMAND\("([a-z_]+)\.([a-z_]+)", .*"([a-z_.]+)"\)$/gm)];
  const types = Object.keys(document.components.schemas.Event.discriminator.mapping);
  assert.ok(rows.length >= 3);
  for (const [, resource, command, type] of rows) {
    const { "x-audience": audience } = JSON.parse(readFileSync(join(root, "schemas/messages", `${resource}.json`), "utf8"));
    assert.equal(types.includes(type), audience?.[command] !== "nobody", type);
  }
  for (const schema of document.components.schemas.Event.oneOf)
    assert.ok(types.includes(referenced(schema.$ref).properties.type.const));
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
  assert.match(ProjectCreate.properties.status.description, /When left out: "planning"\./);
  assert.doesNotMatch(ProjectUpdate.properties.status.description, /When left out/);
  assert.equal(ProjectCreate.properties.budget.maximum, 999999999999.99);
  assert.equal(ProjectCreate.additionalProperties, false);
  assert.equal(ProjectList.properties.data.items.$ref, "#/components/schemas/Project");
  assert.doesNotMatch(JSON.stringify(document), /"x-(id|filter|indexed|search|column|create-only)"/);
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
    assert.equal(operation.security?.length === 0, !path.startsWith("/v1/") || path.startsWith("/v1/hooks/"), path);
});
