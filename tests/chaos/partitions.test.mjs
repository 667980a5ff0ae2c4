// A company's commands stay in order, and each has one effect, while workers of its pool are added, removed and killed. Every company
// sends its commands one after the other, each as soon as the one before it was accepted, and reads them back in the order of its
// events. Soon after every change, each partition has exactly one consumer.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { Company, expectPromisesKept } from '../lib/company.mjs';
import { isDrained } from '../lib/effects.mjs';
import { newAgent } from '../lib/http.mjs';
import { sleep, until } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';

const COMPANIES = 24;
const HELD_WITHIN_MS = 30_000; // far from what it takes: a machine under load

let stack;
before(async () => {
    stack = await startStack('partitions', { worker: { CORTEX_WORKER_PROCESSES: '1' } });
});
after(() => stack?.stop());

function children(pid) {
    return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).map(Number).filter((child) => {
        try {
            return Number(readFileSync(`/proc/${child}/stat`, 'latin1').split(') ').pop().split(' ')[1]) === pid;
        } catch {
            return false; // gone in between
        }
    });
}

// Those that announce themselves as workers; the manager is a child of the pool, too.
function workers() {
    const joined = new Set([...readFileSync(stack.worker.log, 'utf8').matchAll(/"pid":(\d+),"event":"member.joined"/g)].map((m) => Number(m[1])));
    return children(stack.worker.child.pid).filter((pid) => joined.has(pid));
}

async function consumers() {
    const text = await stack.broker.ctl('list_queues', '--vhost', stack.name, '--no-table-headers', 'name', 'consumers');
    return text.trim().split('\n').map((line) => line.split('\t')).filter(([name]) => name.startsWith('commands.projects.'))
        .map(([, count]) => Number(count));
}

async function heldAgain(count, what, t) {
    const begin = Date.now();
    await until(async () => workers().length === count, HELD_WITHIN_MS, `${count} workers after ${what}`);
    await until(async () => (await consumers()).every((held) => held === 1), HELD_WITHIN_MS, `every partition to have one consumer after ${what}`);
    t.diagnostic(`${what}: ${count} workers, each partition held by one, after ${Date.now() - begin} ms`);
}

describe('partitions', () => {
    test('test_order_when_workers_are_added_removed_and_killed_then_each_company_keeps_it', async (t) => {
        await heldAgain(1, 'the start', t);
        const agent = newAgent(COMPANIES);
        const ids = [];
        for (let i = 0; i < COMPANIES; i++) ids.push(await stack.addCompany());
        const companies = ids.map((id) => new Company(stack, id, agent));
        const signal = (...names) => names.forEach((name) => process.kill(stack.worker.child.pid, name));
        const shoot = (count) => workers().slice(0, count).forEach((worker) => process.kill(worker, 'SIGKILL'));
        const steps = [
            [2, 'one more', () => signal('SIGTTIN')],
            [3, 'one more', () => signal('SIGTTIN')],
            [2, 'one less', () => signal('SIGTTOU')],
            [2, 'a kill -9', () => shoot(1)],
            [2, 'two kills -9', () => shoot(2)],
            [1, 'one less', () => signal('SIGTTOU')],
        ];
        for (const [count, what, change] of steps) {
            change();
            await heldAgain(count, what, t);
            await sleep(500);
        }
        await Promise.all(companies.map((company) => company.stop()));
        agent.destroy();
        await until(() => isDrained(stack), 120_000, 'the queues to be empty');
        await expectPromisesKept(companies);
        const counts = companies.map((company) => company.accepted.length);
        t.diagnostic(`${counts.reduce((a, b) => a + b)} commands of ${COMPANIES} companies`);
        assert.ok(Math.min(...counts) > 10);
    });
});
