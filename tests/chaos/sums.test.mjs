// Sums of other entities (x-sum) under random commands of several companies, which four workers share, while workers are killed: they are
// what a recomputation from scratch comes to, and `./cortex check sums` says so. And invoices, which become overdue.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { CommandLine } from '../lib/cli.mjs';
import { isDrained } from '../lib/effects.mjs';
import { newAgent } from '../lib/http.mjs';
import { sleep, until } from '../lib/process.mjs';
import { database } from '../lib/servers.mjs';
import { size, within } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const COMMANDS = size(20_000);
const COMPANIES = 8; // each sends its commands one after the other
const KILLS = 4;
const PROJECTS = 3;
const MOST = 40; // of a kind

let stack, cortex;
let isOver = false; // then nobody sends any more, whatever has failed
before(async () => {
    stack = await startStack('sums', { worker: { CORTEX_WORKER_PROCESSES: '4', CORTEX_CRASH_DEATHS: '1000' } });
    process.env.CORTEX_DATABASE_URL = await database.url('cortex', stack.name);
    cortex = new CommandLine(stack);
});
after(async () => {
    isOver = true;
    delete process.env.CORTEX_DATABASE_URL;
    cortex?.close();
    await stack?.stop();
});

// Numbers that are the same in each run.
function randomOf(seed) {
    let state = seed;
    return (below) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
    };
}

const STATUSES = ['todo', 'in-progress', 'review', 'completed', 'blocked'];
const STEPS = ['sent', 'approved', 'received']; // of an order

// What is summed up: how often it is meant, where it is, and its fields.
const KINDS = [
    {
        share: 10, path: 'tasks', of: 'project', first: { title: 'T' },
        fields: (random) => ({
            progress: random(101), estimated_hours: random(4) === 0 ? null : random(100_000) / 100,
            ...(random(3) === 0 ? { status: STATUSES[random(STATUSES.length)] } : {}),
        }),
    },
    { share: 3, path: 'time-entries', of: 'project', fields: (random) => ({ minutes: 1 + random(600), hourly_rate: random(3) ? random(20_000) / 100 : null }) },
    { share: 2, path: 'subcontracts', of: 'project', once: (sender) => ({ subcontractor_id: sender.firm }),
        fields: (random) => ({ contract_amount: random(1_000_000) / 100 }) },
    { share: 3, path: 'items', of: 'invoice', first: { description: 'I' },
        fields: (random) => ({ quantity: random(10_000) / 1000, unit_price: (random(20_000) - 5_000) / 100 }) },
    { share: 2, path: 'order-items', of: 'order', first: { description: 'I' },
        fields: (random) => ({ quantity: random(10_000) / 1000, unit_price: random(10_000) / 100 }) },
].flatMap((kind) => Array(kind.share).fill(kind));

class Sender {
    constructor(company, seed, agent) {
        Object.assign(this, { company, random: randomOf(seed), entities: new Map(KINDS.map((kind) => [kind, []])), sent: 0 });
        this.api = stack.client({ company, role: 'company_admin' }, agent);
    }

    // Sent again with its key until it has been done or refused.
    async #send(method, path, body) {
        const key = randomUUID();
        while (!isOver) {
            const answer = await this.api.call(method, path, { body, headers: { 'idempotency-key': key, prefer: 'wait=20' } }).catch(() => ({}));
            if (answer.status && answer.status !== 202 && answer.status < 500 && answer.status !== 429) return answer;
            await sleep(20);
        }
        throw new Error('the test is over');
    }

    async #create(path, body) {
        const { status, body: entity, text } = await this.#send('POST', path, body);
        assert.equal(status, 201, text);
        return `${path}/${entity.id}`;
    }

    async #begin() {
        const idOf = (path) => path.split('/').pop();
        this.firm = idOf(await this.#create('/v1/subcontractors', { name: 'F' }));
        const client = idOf(await this.#create('/v1/clients', { name: 'C' }));
        this.parents = { project: [], invoice: [], order: [] };
        while (this.parents.project.length < PROJECTS) this.parents.project.push(await this.#create('/v1/projects', { name: 'P' }));
        this.parents.invoice.push(await this.#create('/v1/invoices', { client_id: client, tax_rate: 19 }));
        await this.#order();
    }

    async #order() {
        const project = this.parents.project[0].split('/').pop();
        this.parents.order = [await this.#create('/v1/purchase-orders', { vendor_name: 'V', tax_rate: 7.7, project_id: project })];
        this.entities.set(KINDS.at(-1), []);
    }

    // The order becomes a cost of its project, and another one begins.
    async #receive() {
        for (const status of STEPS) {
            const { status: code, text } = await this.#send('PATCH', this.parents.order[0], { status });
            if (code === 409) return; // it has no items
            assert.equal(code, 200, text);
        }
        await this.#order();
    }

    async #one() {
        const { random } = this, kind = KINDS[random(KINDS.length)], those = this.entities.get(kind), what = random(20), at = random(those.length);
        if (those.length === 0 || (what < 6 && those.length < MOST)) {
            const parents = this.parents[kind.of];
            those.push(await this.#create(`${parents[random(parents.length)]}/${kind.path}`, { ...kind.first, ...kind.once?.(this), ...kind.fields(random) }));
        } else if (what < 10) {
            assert.equal((await this.#send('DELETE', those[at])).status, 204);
            those.splice(at, 1);
        } else if (what < 11) {
            await this.#send('PATCH', this.parents.invoice[0], { tax_rate: random(30), paid_amount: random(1000) });
        } else if (what < 12) {
            await this.#receive();
        } else {
            const { status, text } = await this.#send('PATCH', those[at], kind.fields(random));
            assert.ok(status === 200 || status === 409, text); // the status may not become everything
        }
    }

    async run(count) {
        await this.#begin();
        for (; this.sent < count; this.sent++) await this.#one();
    }
}

async function killOne() {
    const { body } = await stack.client({ role: 'super_admin' }).get('/v1/admin/pools/projects');
    const workers = body.managers.flatMap((manager) => manager.workers).filter(({ state }) => state === 'ready');
    if (workers.length > 0) process.kill(workers[0].pid, 'SIGKILL');
    return workers.length > 0;
}

describe('sums', () => {
    test('test_sums_when_commands_are_random_and_workers_are_killed_then_they_are_what_the_rows_come_to', async (t) => {
        const agent = newAgent(COMPANIES);
        const senders = (await stack.addCompanies(COMPANIES)).map((company, i) => new Sender(company, i + 1, agent));
        const all = Promise.all(senders.map((sender) => sender.run(Math.ceil(COMMANDS / COMPANIES))));
        all.catch(() => (isOver = true)); // it is awaited below
        const sent = () => senders.reduce((sum, sender) => sum + sender.sent, 0);
        for (let kills = 0; kills < KILLS; kills++) {
            await Promise.race([all, until(() => sent() > (COMMANDS * (kills + 1)) / (KILLS + 1), within(120_000), 'some commands')]);
            await until(killOne, within(30_000), 'a worker to kill');
        }
        await all;
        agent.destroy();
        await until(() => isDrained(stack), within(60_000), 'the queues to be empty');

        assert.equal(await cortex.run('check', 'sums'), 'All sums are what the rows come to.\n');
        const [{ gaps, tasks, received, moved }] = await stack.query(`SELECT
            (SELECT count(*) FROM company_sequence AS s WHERE seq <> (SELECT count(*) FROM events AS e WHERE e.company_id = s.company_id)) AS gaps,
            (SELECT count(*) FROM task) AS tasks, (SELECT count(*) FROM purchase_order WHERE status = 'received') AS received, (SELECT count(*) FROM events WHERE type = 'project.updated') AS moved`);
        assert.equal(gaps, 0);
        assert.equal(tasks, senders.reduce((sum, sender) => sum + sender.entities.get(KINDS[0]).length, 0));
        assert.ok(moved > COMMANDS / 10 && received > 0);
        t.diagnostic(`${sent()} commands, ${KILLS} kills, ${moved} changes of projects, ${received} orders received`);
    });

    test('test_invoice_when_its_due_date_is_over_then_it_becomes_overdue_by_itself_with_an_event', async () => {
        const company = await stack.addCompany();
        const api = stack.client({ company, role: 'company_admin' });
        const { body: client } = await api.post('/v1/clients', { name: 'C' });
        const { body: invoice } = await api.post('/v1/invoices', { client_id: client.id, issue_date: '2026-01-01', due_date: '2026-01-31' });
        await api.post(`/v1/invoices/${invoice.id}/items`, { description: 'I', unit_price: 10 });
        assert.equal((await api.patch(`/v1/invoices/${invoice.id}`, { status: 'sent' })).status, 200);
        await stack.client({ role: 'super_admin' }).post('/v1/admin/schedules/invoice.overdue/run');
        const shown = await until(async () => {
            const { body } = await api.get(`/v1/invoices/${invoice.id}`);
            return body.status === 'overdue' && body;
        }, within(30_000), 'the invoice to be overdue');
        assert.equal(shown.is_overdue, true);
        const events = await stack.query(`SELECT type, version FROM events WHERE company_id = '${company}' AND subject = '${invoice.id}' ORDER BY seq DESC LIMIT 1`);
        assert.deepEqual(events, [{ type: 'invoice.updated', version: shown.version }]);
    });

    test('test_check_when_a_sum_is_wrong_then_it_is_named', async () => {
        const [{ id, progress }] = await stack.query('SELECT id, progress FROM project ORDER BY id LIMIT 1');
        const other = progress === 0 ? 1 : progress - 1;
        await stack.run(`UPDATE project SET progress = ${other} WHERE id = '${id}'`);
        const { status, stdout, stderr } = await cortex.try('check', 'sums');
        assert.equal(status, 1);
        assert.match(stdout, new RegExp(`^project ${id} of company [0-9a-f-]{36}: progress is ${other} and must be ${progress}\n$`));
        assert.match(stderr, /1 sum differs/);
        await stack.run(`UPDATE project SET progress = ${progress} WHERE id = '${id}'`);
        await cortex.run('check', 'sums');
    });
});
