// The documents name files, commands and settings that exist, and their lines can be read in a terminal.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const COLUMNS = 120;

// What a build or a run makes, and what others install.
const MADE = /^(build|\.cortex)\//;
const PATH = /(?<![\w./~-])(?:(?:common|gateway|workers|schemas|tests|deploy)\/[\w@./*<>-]*[\w*>]\/?|[\w-]+\.(?:md|yaml))/g;
// What stands for many: <room>, NNNN.
const PATTERN = /[<>]|NNNN/;
// A room's README names the files beside it by their names alone.
const NEIGHBOUR = /(?<=`)(?:[\w-]+\/)*[\w-]+\.(?:c|h|def|sh|mjs)(?=`)/g;

function readmes(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return readmes(join(folder, entry.name));
    return entry.name === "README.md" ? [join(folder, entry.name)] : [];
  });
}

// The examples of the recipes add files that are not there; e2e/recipes follows them.
function withoutExamples(text) {
  return text.replace(/^( *)```diff\n[^]*?^\1```$/gm, (example) => example.replace(/.*/g, ""));
}

const documents = [
  "README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "deploy/operating.md",
  ...["common", "gateway", "workers", "schemas", "deploy"].flatMap(readmes),
].map((name) => ({ name, lines: withoutExamples(readFileSync(join(root, name), "utf8")).split("\n") }));

// Each complaint of `check(line, document)` with its place.
function complaints(check) {
  return documents.flatMap((document) =>
    document.lines.flatMap((line, i) => [...check(line, document)].map((what) => `${document.name}:${i + 1}: ${what}`)));
}

function matches(path) {
  if (!path.includes("*")) return existsSync(path);
  const name = new RegExp(`^${basename(path).replaceAll(".", "\\.").replaceAll("*", ".*")}$`);
  return existsSync(dirname(path)) && readdirSync(dirname(path)).some((entry) => name.test(entry));
}

function exists(path, document) {
  return [root, join(root, dirname(document.name))].some((folder) => matches(join(folder, path)));
}

// In the room, in a room inside of it, or in what it stands in.
function isNear(path, document) {
  const room = dirname(document.name);
  const folders = [room, dirname(room), ...readdirSync(join(root, room), { withFileTypes: true })
    .filter((entry) => entry.isDirectory()).map((entry) => join(room, entry.name)), room.split("/")[0]];
  return exists(path, document) || folders.some((folder) => existsSync(join(root, folder, path)));
}

test("test_documents_when_they_name_files_then_those_exist", () => {
  assert.deepEqual(complaints((line, document) =>
    (line.match(PATH) ?? []).filter((path) => !MADE.test(path) && !PATTERN.test(path) && !exists(path, document))), []);
});

test("test_readmes_when_they_name_their_neighbours_then_those_exist", () => {
  assert.deepEqual(complaints((line, document) => document.name.split("/").length < 3 ? [] :
    (line.match(NEIGHBOUR) ?? []).filter((path) => !isNear(path, document))), []);
});

function rooms(folder) {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  return [...(entries.some(({ name }) => name.endsWith(".c")) ? [basename(folder)] : []),
    ...entries.filter((entry) => entry.isDirectory()).flatMap(({ name }) => rooms(join(folder, name)))];
}

test("test_contributing_when_it_shows_the_house_then_no_room_is_missing", () => {
  const { lines } = documents.find(({ name }) => name === "CONTRIBUTING.md");
  const house = lines.join("\n");
  assert.deepEqual(["common", "gateway", "workers", "schemas"].flatMap(rooms).filter((room) => !house.includes(`${room}/`)), []);
});

test("test_documents_when_they_link_then_the_target_exists", () => {
  assert.deepEqual(complaints((line, document) =>
    [...line.matchAll(/\]\((?!https?:)([^)#]*)[^)]*\)/g)].map((match) => match[1])
      .filter((path) => path && !existsSync(join(root, dirname(document.name), path)))), []);
});

test("test_documents_when_they_name_commands_then_those_exist", () => {
  assert.deepEqual(complaints((line) =>
    [...line.matchAll(/\.\/cortex ([a-z]+)/g)].map((match) => match[1])
      .filter((name) => name !== "help" && name !== "to" && !existsSync(join(root, `deploy/local/${name}.sh`)))), []);
});

test("test_operators_book_then_it_says_of_each_table_how_long_it_is_kept", () => {
  const { lines } = documents.find(({ name }) => name === "deploy/operating.md");
  const table = readFileSync(join(root, "workers/engine/housekeeping/retention.def"), "utf8");
  const tables = [...table.matchAll(/^RETENTION\("([a-z_]+)"/gm)].map((match) => match[1]);
  assert.ok(tables.includes("inbox") && tables.includes("dead_letter"));
  assert.deepEqual(tables.filter((name) => !lines.some((line) => line.startsWith(`| \`${name}.retention\` |`))), []);
});

test("test_documents_when_they_name_settings_then_those_exist", () => {
  // Those of the scripts and of the tests are no rows of the table.
  const sources = ["common/process/config.def", "deploy/local/lib/common.sh", "deploy/local/lib/build.sh", "common/process/config.h"];
  const known = new Set(sources.flatMap((path) => readFileSync(join(root, path), "utf8").match(/CORTEX_[A-Z0-9_]+/g) ?? []));
  assert.deepEqual(complaints((line) =>
    (line.match(/CORTEX_[A-Z0-9_]*[A-Z0-9]\b(?!_)/g) ?? []).filter((name) => !known.has(name))), []);
});

test("test_documents_when_read_in_a_terminal_then_no_line_is_longer_than_120_columns", () => {
  let inCode = false;
  assert.deepEqual(complaints((line) => {
    if (line.trimStart().startsWith("```")) inCode = !inCode;
    return !inCode && !line.startsWith("|") && [...line].length > COLUMNS ? ["a line past 120 columns"] : [];
  }), []);
});
