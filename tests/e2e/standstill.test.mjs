// A process that stands still, or a file that nobody writes, holds up nobody else: a parent that is stopped, a manager that does not read what
// its parent says, and settings and keys that have become a FIFO.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { Logged, sleep, until } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';
import { newProject } from './api/expect.mjs';

const WITHIN_MS = 30_000;
const REPORTS = 400; // more than the socket between a parent and its manager has room for

let stack, settings;
before(async () => {
    stack = await startStack('standstill', {
        gateway: { CORTEX_STUCK_MS: '600000' }, worker: { CORTEX_STUCK_MS: '600000', CORTEX_WORKER_PROCESSES: '2' },
    });
    settings = `${stack.keyFile}.settings`;
    writeFileSync(settings, 'CORTEX_LOG_LEVEL=info\n');
    for (const program of [stack.gateway, stack.worker]) {
        await program.stop();
        program.settings.CORTEX_CONFIG = settings;
        await program.start();
    }
});
after(() => stack?.stop());

const operator = () => stack.client({ role: 'super_admin' });
const children = ({ child: { pid } }) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

const pool = async () => (await operator().get('/v1/admin/pools/projects')).body;
const workers = async () => (await pool()).managers[0].workers.filter(({ state }) => state === 'ready').map(({ pid }) => pid);

// Another process in the place of one that is killed, which the parent must do.
async function assertReplaces(program, pid) {
    const before = children(program);
    process.kill(pid, 'SIGKILL');
    await until(() => {
        const now = children(program);
        return !now.includes(pid) && now.length >= before.length;
    }, WITHIN_MS, `the parent to replace ${pid}`);
}

async function assertServes(count = 20) {
    for (let i = 0; i < count; i++) await newProject(stack.client());
}

// Puts a FIFO that nobody writes into the place of the file, and returns what undoes it.
function makeFifo(path) {
    renameSync(path, `${path}.before`);
    execFileSync('mkfifo', [path]);
    return () => renameSync(`${path}.before`, path);
}

describe('standstill', () => {
    test('test_processes_when_their_parents_are_stopped_then_they_serve_and_are_replaced_once_those_go_on', async (t) => {
        const goOn = () => [stack.gateway, stack.worker].forEach((program) => program.child.kill('SIGCONT'));
        t.after(goOn);
        await until(async () => (await workers()).length === 2, WITHIN_MS, 'both workers');
        for (const program of [stack.gateway, stack.worker]) program.child.kill('SIGSTOP');
        await assertServes();
        assert.equal((await workers()).length, 2);
        const [worker] = await workers();
        const [gateway] = children(stack.gateway);
        process.kill(worker, 'SIGKILL');
        await assertServes(); // the other worker has its partitions
        goOn();
        await until(async () => (await workers()).filter((pid) => pid !== worker).length === 2, WITHIN_MS, 'the worker to be replaced');
        await assertReplaces(stack.gateway, gateway);
        await until(() => assertServes().then(() => true), WITHIN_MS, 'the gateway to serve');
    });

    test('test_parent_when_its_manager_does_not_read_then_it_goes_on_to_replace_workers', async (t) => {
        const ours = await workers();
        const [manager] = children(stack.worker).filter((pid) => !ours.includes(pid));
        t.after(() => children(stack.worker).includes(manager) && process.kill(manager, 'SIGKILL'));
        process.kill(manager, 'SIGSTOP');
        for (let i = 0; i < REPORTS; i++) {
            stack.worker.child.kill(i % 2 ? 'SIGTTOU' : 'SIGTTIN'); // it reports each
            await sleep(5);
        }
        await assertReplaces(stack.worker, ours[0]);
        await assertServes();
        await assertReplaces(stack.worker, manager);
        await until(async () => (await workers()).length > 0, WITHIN_MS, 'the next manager to answer');
    });

    test('test_parents_when_their_settings_have_become_a_fifo_then_they_refuse_them_and_go_on', async (t) => {
        t.after(makeFifo(settings));
        for (const [program, event] of [[stack.gateway, 'parent.settings_refused'], [stack.worker, 'pool.settings_refused']]) {
            const log = new Logged(program, event);
            const before = log.of(event).length;
            program.child.kill('SIGHUP');
            await until(() => log.of(event).length > before, WITHIN_MS, event);
            log.close();
            await assertReplaces(program, children(program)[0]);
        }
        await until(() => assertServes().then(() => true), WITHIN_MS, 'both to serve');
    });

    test('test_gateway_when_its_key_has_become_a_fifo_then_it_goes_on_with_the_key_that_it_has', async (t) => {
        const log = new Logged(stack.gateway, 'keys.unread');
        t.after(() => log.close());
        t.after(makeFifo(stack.keyFile));
        await until(async () => {
            await stack.client().get('/v1/projects', { authorization: `Bearer ${stack.token()}x` }).catch(() => {}); // a signature that no key fits
            return log.of('keys.unread').length > 0;
        }, WITHIN_MS, 'the key file to be read again');
        await assertServes();
    });
});
