// Whoever reads the standard error of our programs stands still: nothing waits for it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { send } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';
import { newProject } from './api/expect.mjs';

const PIPE_BYTES = 64 << 10;

let stack;
before(async () => {
    stack = await startStack('log_reader');
    for (const program of [stack.gateway, stack.worker]) {
        await program.stop();
        // `sleep` has the pipe's other end and never reads it. At this level its room is used up at once.
        const script = 'exec 2> >(exec sleep 600); exec "$0" "$@"';
        program.settings.CORTEX_LOG_LEVEL = 'debug';
        program.args = ['-c', script, program.command, ...program.args];
        program.command = 'bash';
    }
    await stack.worker.start();
    await stack.gateway.start();
});
after(async () => {
    const programs = [stack?.gateway, stack?.worker].filter(Boolean);
    await stack?.stop();
    for (const program of programs) program.signal('SIGKILL'); // what is left of the group: sleep
});

const children = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
const isOf = (program) => (pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(program);

test('test_programs_when_the_reader_of_their_standard_error_stands_still_go_on', async () => {
    const api = stack.client();
    const lines = PIPE_BYTES / 100; // more than the pipe has room for, of each program
    // Nobody hears the gateway say that all its processes are ready.
    await until(async () => (await Promise.all(Array.from({ length: 20 }, () => send(`${stack.url}/readyz`, { agent: false }))))
        .every(({ status }) => status === 200), 60_000, 'every process to be ready');
    for (let i = 0; i < lines; i += 20) await Promise.all(Array.from({ length: 20 }, () => newProject(api)));

    // The parents log the death of a child, and replace it.
    for (const [program, name] of [[stack.worker, 'cortex-worker'], [stack.gateway, 'cortex-gateway']]) {
        const parent = program.child.pid;
        const killed = children(parent).filter(isOf(name));
        assert.ok(killed.length > 0);
        for (const pid of killed) process.kill(pid, 'SIGKILL');
        await until(() => {
            const alive = children(parent).filter(isOf(name));
            return alive.length >= killed.length && alive.every((pid) => !killed.includes(pid));
        }, 30_000, `${name} to replace its children`);
    }
    await until(async () => (await api.post('/v1/projects', { name: 'After' }).catch(() => ({}))).status === 201, 30_000, 'a write');
    const operator = stack.client({ role: 'super_admin' });
    await until(async () => (await operator.get('/v1/admin/pools/projects')).status === 200, 30_000, 'the manager to answer');
});
