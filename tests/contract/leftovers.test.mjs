// Nothing that a test or a measurement starts outlives it, however it ends.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { send } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';
import { root } from '../lib/servers.mjs';

const folder = mkdtempSync(join(tmpdir(), 'cortex-leftovers-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const alive = (pid) => existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(spawnSync('cat', [`/proc/${pid}/status`], { encoding: 'utf8' }).stdout);

// A script that starts a child, which starts another; both pids are printed, then it goes on as `rest` says.
function starter(rest) {
    const script = `
        import { startChild } from '${root}/tests/lib/children.mjs';
        const child = startChild('sh', ['-c', 'sleep 600 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
        child.stdout.once('data', (pid) => { console.log(child.pid, Number(pid)); ${rest} });`;
    return spawn('node', ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
}

async function pidsOf(program) {
    const text = await new Promise((resolve) => program.stdout.once('data', resolve));
    return `${text}`.trim().split(' ').map(Number);
}

const childrenOf = (pid) => spawnSync('pgrep', ['-P', `${pid}`], { encoding: 'utf8' }).stdout.trim().split('\n').map(Number);

describe('what a test has started', () => {
    for (const [what, rest, signal] of [
        ['it_fails', 'throw new Error("as a test does");'],
        ['it_ends', 'process.exit(0);'],
        ['it_is_told_to_end', '', 'SIGTERM'],
        ['it_is_interrupted', '', 'SIGINT'],
    ]) {
        test(`test_children_when_${what}_then_they_end_with_all_that_they_started`, async () => {
            const program = starter(rest);
            const pids = await pidsOf(program);
            if (signal) program.kill(signal);
            await until(() => !pids.some(alive), 20_000, `the end of ${pids}`);
        });
    }

    test('test_children_when_it_is_killed_then_the_run_finds_and_ends_them', async () => {
        const state = join(folder, 'state');
        mkdirSync(join(state, 'run'), { recursive: true });
        const env = { ...process.env, CORTEX_STATE: state, CORTEX_TEST_KEY: `${state}/key` };
        const left = spawn('sleep', ['600'], { env, detached: true, stdio: 'ignore' });
        const other = spawn('sleep', ['600'], { detached: true, stdio: 'ignore', env: { PATH: process.env.PATH, KEY: `${state}-other/key` } });
        const shell = (command) => execFileSync('setsid', ['bash', '-ec', `. ${root}/deploy/local/lib/common.sh; ${command}`],
            { env: { ...process.env, CORTEX_STATE: state }, encoding: 'utf8' });
        try {
            await until(() => shell('left_behind').trim() === `${left.pid} sleep 600`, 20_000, 'the list of what is left');
            assert.equal(shell('end_left_behind').trim(), `${left.pid} sleep 600`);
            await until(() => !alive(left.pid), 20_000, 'its end');
            assert.ok(alive(other.pid));
        } finally {
            left.kill('SIGKILL');
            other.kill('SIGKILL');
        }
    });
});

describe('the nginx of a measurement', { skip: spawnSync('nginx', ['-v']).status !== 0 && 'nginx is not installed' }, () => {
    test('test_nginx_when_it_starts_and_stops_again_and_again_then_its_pid_is_known_and_nothing_is_left', async () => {
        chmodSync(folder, 0o755); // its workers are another user's
        for (const name of ['TREE', 'STATE', 'PROGRAMS', 'URL', 'COMPANY', 'POSTGRES_BIN']) process.env[`BENCH_${name}`] = folder;
        const { startNginx } = await import('../bench/nginx.mjs');
        for (let i = 0; i < 5; i++) {
            const nginx = await startNginx(2, false, '"ok"');
            let workers;
            await until(() => (workers = childrenOf(nginx.pid())).length === 2, 20_000, 'its workers').catch(() => {});
            const { status } = await send(nginx.url).finally(() => nginx.stop());
            assert.equal(status, 200);
            assert.deepEqual([nginx.pid(), ...workers].filter(alive), []);
        }
    });
});
