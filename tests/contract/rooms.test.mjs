// Who may include whom: the check of `./cortex lint` on a copy of the tree, changed as people change it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const parts = ["common", "gateway", "workers", "schemas/schemac", "tests/unit", "deploy/local"];
let folder;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rooms-"));
  assert.equal(spawnSync("cp", ["-r", "--parents", ...parts, folder], { cwd: root }).status, 0);
});

afterEach(() => rmSync(folder, { recursive: true }));

function check() {
  const script = ". deploy/local/lib/common.sh && . deploy/local/lib/rooms.sh && rooms_check";
  const run = spawnSync("bash", ["-c", script], { cwd: folder, encoding: "utf8" });
  assert.equal(run.error, undefined);
  return { status: run.status, lines: run.stdout.split("\n").filter(Boolean) };
}

// The check fails, and one of its lines begins so.
function assertFault(beginning) {
  const { status, lines } = check();
  assert.notEqual(status, 0);
  assert.ok(
    lines.some((line) => line.startsWith(beginning)),
    `no line begins with ${beginning}:\n${lines.join("\n")}`,
  );
}

// Appends an include to a file, and says on which line it stands.
function include(file, header) {
  const path = join(folder, file);
  appendFileSync(path, `#include "${header}"\n`);
  return readFileSync(path, "utf8").split("\n").length - 1;
}

test("test_rooms_as_they_are_then_lint_finds_nothing", () => {
  assert.deepEqual(check(), { status: 0, lines: [] });
});

test("test_rooms_when_an_include_runs_up_then_lint_names_its_line", () => {
  const line = include("gateway/ws/frame.c", "gateway/hub/hub.h");
  assertFault(`gateway/ws/frame.c:${line}: gateway/ws may not use gateway/hub: move the code, `);
});

test("test_rooms_when_the_gateway_and_the_workers_see_each_other_then_lint_fails", () => {
  let line = include("gateway/process/process.c", "workers/engine/worker.h");
  assertFault(`gateway/process/process.c:${line}: gateway/process may not use workers/engine: `);
  line = include("workers/engine/worker.c", "gateway/net/server.h");
  assertFault(`workers/engine/worker.c:${line}: workers/engine may not use gateway/net: `);
  line = include("common/base/buf.c", "workers/engine/worker.h");
  assertFault(`common/base/buf.c:${line}: common/base may not use workers/engine: `);
});

test("test_rooms_when_an_include_hides_its_room_then_lint_fails", () => {
  const line = include("gateway/ws/frame.c", "../hub/hub.h");
  assertFault(`gateway/ws/frame.c:${line}: "../hub/hub.h" is in no room: write its path from the root`);
});

test("test_rooms_when_a_file_is_in_no_room_then_lint_names_it", () => {
  mkdirSync(join(folder, "gateway/attic"));
  writeFileSync(join(folder, "gateway/attic/box.c"), "");
  assertFault("gateway/attic/box.c:1: this file is in no room: move it into one, ");
  writeFileSync(join(folder, "gateway/box.c"), "");
  assertFault("gateway/box.c:1: this file is in no room: move it into one, ");
});

test("test_rooms_when_a_room_has_no_readme_then_lint_names_it", () => {
  rmSync(join(folder, "gateway/ws/README.md"), { force: true });
  assertFault("gateway/ws/README.md:1: it is missing: say in about ten lines what the room owns");
});

test("test_rooms_when_the_list_allows_an_arrow_up_then_lint_names_its_line", () => {
  const path = join(folder, "deploy/local/rooms");
  const lines = readFileSync(path, "utf8").split("\n");
  const line = lines.findIndex((text) => text.startsWith("common/time:"));
  lines[line] += " common/broker";
  writeFileSync(path, lines.join("\n"));
  assertFault(`deploy/local/rooms:${line + 1}: common/time may only use rooms that are listed below it`);
});

test("test_rooms_when_a_unit_test_has_no_room_then_lint_names_it", () => {
  mkdirSync(join(folder, "tests/unit/gateway/attic"));
  writeFileSync(join(folder, "tests/unit/gateway/attic/test_box.c"), "");
  assertFault("tests/unit/gateway/attic/test_box.c:1: there is no room gateway/attic: ");
});
