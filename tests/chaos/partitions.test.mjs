// A company's commands stay in order, and each has one effect, while the workers of its pool come, go and are killed: every company
// sends its commands one after the other, each as soon as the one before it was accepted, and reads them back in the order of its
// events. After every change each partition is soon consumed by somebody, and by one alone.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

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

class Company {
    constructor(id, agent) {
        Object.assign(this, { id, agent, accepted: [], going: true });
        this.api = stack.client({ company: id }, agent);
        this.done = this.#send();
    }

    async #send() {
        for (let n = 0; this.going; n++) {
            const name = `${n}`;
            const headers = { prefer: 'respond-async', 'idempotency-key': `${this.id}-${n}` };
            while ((await this.api.post('/v1/projects', { name }, headers)).status !== 202) await sleep(20);
            this.accepted.push(name);
        }
    }

    async stop() {
        this.going = false;
        await this.done;
    }
}

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

async function drained() {
    return [...(await stack.queues())].filter(([name]) => name.startsWith('commands.')).every(([, queue]) => queue.ready + queue.unacknowledged === 0);
}

async function expectInOrder(company) {
    const events = await stack.query(`SELECT data ->> 'name' AS name FROM events WHERE company_id = '${company.id}' ORDER BY seq`);
    assert.deepEqual(events.map((event) => event.name), company.accepted, 'each once, in the order in which they were accepted');
}

describe('partitions', () => {
    test('test_order_when_workers_are_added_removed_and_killed_then_each_company_keeps_it', async (t) => {
        await heldAgain(1, 'the start', t);
        const agent = newAgent(COMPANIES);
        const ids = [];
        for (let i = 0; i < COMPANIES; i++) ids.push(await stack.addCompany());
        const companies = ids.map((id) => new Company(id, agent));
        const tell = (...signals) => signals.forEach((signal) => process.kill(stack.worker.child.pid, signal));
        const shoot = (count) => workers().slice(0, count).forEach((worker) => process.kill(worker, 'SIGKILL'));
        const steps = [
            [2, 'one more', () => tell('SIGTTIN')],
            [3, 'one more', () => tell('SIGTTIN')],
            [2, 'one less', () => tell('SIGTTOU')],
            [2, 'a kill -9', () => shoot(1)],
            [2, 'two kills -9', () => shoot(2)],
            [1, 'one less', () => tell('SIGTTOU')],
        ];
        for (const [count, what, change] of steps) {
            change();
            await heldAgain(count, what, t);
            await sleep(500);
        }
        await Promise.all(companies.map((company) => company.stop()));
        agent.destroy();
        await until(drained, 120_000, 'the queues to be empty');
        for (const company of companies) await expectInOrder(company);
        assert.deepEqual(await stack.query('SELECT count(*) AS letters FROM dead_letter'), [{ letters: 0 }], 'no dead letters');
        const counts = companies.map((company) => company.accepted.length);
        t.diagnostic(`${counts.reduce((a, b) => a + b)} commands of ${COMPANIES} companies`);
        assert.ok(Math.min(...counts) > 10);
    });
});
