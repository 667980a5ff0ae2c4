// What the commands of ./cortex refuse, and how they say so.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const build = process.env.CORTEX_BUILD ?? join(root, "build/asan");
const somebody = "0190a0a0-0000-7000-8000-000000000001";
let folder;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "commands-"));
  writeFileSync(join(folder, "key"), "0123456789abcdef0123456789abcdef", { mode: 0o600 });
});
after(() => rmSync(folder, { recursive: true }));

function token(role, ...others) {
  return spawnSync(join(build, "gateway/tools/cortex-token"), ["--company", somebody, "--user", somebody, "--role", role, ...others],
    { encoding: "utf8", env: { ...process.env, CORTEX_AUTH_HS256_FILE: join(folder, "key") } });
}

test("test_token_when_there_is_no_such_role_then_refused_and_the_roles_are_named", () => {
  for (const role of ["nobody", "Developer", "company_admin ", "super-admin"]) {
    const refused = token(role);
    assert.notEqual(refused.status, 0, role);
    assert.equal(refused.stdout, "");
    assert.match(refused.stderr, /there is no role ".*"; the roles are super_admin, company_admin, .*, developer\.$/m);
  }
  assert.equal(token("developer").status, 0);
});

test("test_token_when_no_gateway_would_take_it_for_its_life_then_refused_with_the_bounds", () => {
  for (const ttl of ["0", "2592001", "9223372036854775807"]) {
    const { status, stdout, stderr } = token("developer", "--ttl", ttl);
    assert.deepEqual([status, stdout], [2, ""], ttl);
    assert.match(stderr, /--ttl must be from 1 to 2592000 seconds \(CORTEX_AUTH_MAX_LIFE_MS\)\.$/m);
  }
  for (const ttl of ["-5", "", " 60", "99999999999999999999"]) assert.match(token("developer", "--ttl", ttl).stderr, /is not a valid value/, ttl);
  assert.equal(token("developer", "--ttl", "2592000").status, 0);
});

// Sources what all commands share, in a state folder of its own, and runs the script.
function script(text) {
  writeFileSync(join(folder, "script.sh"), `set -euo pipefail\n. deploy/local/lib/common.sh\n${text}\n`);
  return spawnSync("bash", [join(folder, "script.sh")],
    { cwd: root, encoding: "utf8", env: { ...process.env, CORTEX_STATE: folder } });
}

test("test_script_when_only_a_part_of_it_finds_nothing_then_no_unexpected_failure", () => {
  for (const text of ['printf "%s\\n" "$(grep x /dev/null | head -n 1)"', 'x=$(grep x /dev/null) || x=none; echo "$x"',
    'f() { y=$(false; echo y); echo "$y"; }; f || true'])
    assert.deepEqual([script(text).status, script(text).stderr], [0, ""], text);
});

test("test_part_when_it_was_started_on_a_busy_machine_then_it_runs_from_the_first_look", () => {
  const { status, stderr } = script(`SERVICE_USER=$(id -un); mkdir -p "$STATE/run" "$STATE/log"
    cd() { sleep 1; builtin cd "$@"; }
    start_process x sleep 30
    is_running x || die "it is not seen"
    kill "$(pid_of x)"`);
  assert.deepEqual([status, stderr], [0, ""]);
});

test("test_script_when_it_stops_for_no_known_reason_then_it_says_where", () => {
  for (const text of ["false", "x=$(false)", "f() { false; }; f"])
    assert.match(script(text).stderr, /^cortex: unexpected failure in .* line \d+: /m, text);
});
