// Somebody (another pool, an import, a psql) holds rows of one company. Its commands wait and lose no try; those of the others are done
// meanwhile, also behind more of its commands than its partition's window holds, and over graceful restarts. When the lock goes, the
// company's commands take effect, once each and in their order.
//
// Nothing here is timed: the lock is held until the others are done. `./cortex bench locked` has the figures.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { addLetter } from '../e2e/operators/dead_letters.mjs';
import { newAgent } from '../lib/http.mjs';
import { companyOf } from '../lib/partition.mjs';
import { until } from '../lib/process.mjs';
import { size } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const OTHERS = 3;
const EACH = size(400); // commands of each of the others
const LOCKED = size(3_000); // of the company that is locked: many times its window
const RESTARTS = 4; // one more than it takes to condemn a command
const WITHIN_MS = 120_000; // far from what it takes: a machine under load

let stack, agent;
before(async () => {
    stack = await startStack('locked', { worker: { CORTEX_PREFETCH: '128', CORTEX_PARK_MAX: '64', CORTEX_BACKLOG_POLL_MS: '100' } });
    agent = newAgent(1 + OTHERS);
});
after(() => {
    agent?.destroy();
    return stack?.stop();
});

// Sends its commands one after the other, each when the one before it was accepted.
class Company {
    constructor(id) {
        Object.assign(this, { id, accepted: [], api: stack.client({ company: id }, agent) });
    }

    async send(count, headers = {}) {
        for (let i = 0; i < count; i++) {
            const name = `${this.accepted.length}`;
            const answer = await this.api.post('/v1/projects', { name }, { prefer: 'respond-async', ...headers });
            assert.equal(answer.status, 202);
            this.accepted.push(name);
        }
    }

    async names() {
        const events = await stack.query(`SELECT data ->> 'name' AS name FROM events WHERE company_id = '${this.id}'
            AND type = 'project.created' ORDER BY seq`);
        return events.map(({ name }) => name);
    }
}

// All in one partition, so that they share a queue and a worker.
async function newCompanies() {
    const companies = Array.from({ length: 1 + OTHERS }, () => new Company(companyOf(3)));
    for (const { id } of companies) await stack.addCompany('Company', id);
    return companies;
}

let holds = 0;

// Runs the statement in a transaction that stays open; returns what ends it.
async function hold(statement) {
    const mark = `/* hold ${++holds} */`;
    const session = stack.run(`BEGIN; ${statement}; SELECT pg_sleep(3600) ${mark}`);
    const ended = assert.rejects(session, /canceling statement/);
    const sleeping = `query LIKE '%${mark}%' AND wait_event = 'PgSleep'`;
    await until(async () => (await stack.query(`SELECT pid FROM pg_stat_activity WHERE ${sleeping}`)).length > 0, WITHIN_MS, 'the lock');
    return async () => {
        await stack.run(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE ${sleeping}`);
        await ended;
    };
}

const done = async (companies, count) => (await Promise.all(companies.map((company) => company.names()))).every(({ length }) => length === count);
const count = async (from) => (await stack.query(`SELECT count(*) AS rows FROM ${from}`))[0].rows;

async function assertAllOnceAndInOrder(companies) {
    for (const company of companies)
        await until(async () => (await company.names()).length >= company.accepted.length, WITHIN_MS, 'all of its commands');
    for (const company of companies) assert.deepEqual(await company.names(), company.accepted, 'each once, in the order in which they were accepted');
    await until(async () => (await count('deferred')) === 0 && (await count('unpublished')) === 0, WITHIN_MS, 'the rows that wait to go');
    assert.equal(await count('dead_letter'), 0);
    await until(async () => (await count('begun_mark')) === 0, WITHIN_MS, 'the begun marks to go');
}

const LOCKS = {
    sequence: (id) => `SELECT FROM company_sequence WHERE company_id = '${id}' FOR UPDATE`,
    counter: (id) => `UPDATE counter SET value = value WHERE company_id = '${id}'`,
    company: (id) => `SELECT FROM company WHERE id = '${id}' FOR UPDATE`, // a foreign key looks at it
};

describe('locked', () => {
    for (const [what, lock] of Object.entries(LOCKS))
        test(`test_company_when_its_${what}_is_held_then_the_others_go_on_and_its_commands_follow_in_order`, async () => {
            const companies = await newCompanies(), [locked, ...others] = companies;
            for (const company of companies) await company.send(1);
            await until(() => done(companies, 1), WITHIN_MS, 'the first command of each');
            const release = await hold(lock(locked.id));
            const flood = locked.send(LOCKED);
            await Promise.all(others.map((company) => company.send(EACH)));
            await until(() => done(others, 1 + EACH), WITHIN_MS, 'the others, while the company is locked');
            await flood;
            for (const company of others) await company.send(1); // behind all that the company has sent
            await until(() => done(others, 2 + EACH), WITHIN_MS, 'the others, behind more than the window holds');
            assert.equal((await locked.names()).length, 1);
            await release();
            await assertAllOnceAndInOrder(companies);
        });

    test('test_company_when_its_due_commands_are_locked_then_those_of_others_become_due_all_the_same', async () => {
        const companies = await newCompanies(), [locked, ...others] = companies;
        const release = await hold(LOCKS.sequence(locked.id));
        // As retries that have become due: more than a worker keeps at a time, and before those of the others.
        const put = (company, rows, due) => stack.run(`INSERT INTO deferred (company_id, command_id, pool, slot, reason, due_at, type, actor, role,
                fingerprint, body)
            SELECT '${company.id}', gen_random_uuid(), 'projects', 3, 'retry', now() - interval '${due}', 'project.create', gen_random_uuid(),
                'project_manager', n, '\\x8103a158'::bytea FROM generate_series(1, ${rows}) AS n`);
        await put(locked, 300, '1 hour');
        for (const company of others) await put(company, 5, '1 minute');
        const inboxOf = async (company) => count(`inbox WHERE company_id = '${company.id}'`);
        for (const company of others) await until(async () => (await inboxOf(company)) === 5, WITHIN_MS, 'the due commands of the others');
        assert.equal(await inboxOf(locked), 0);
        await release();
        await until(async () => (await inboxOf(locked)) === 300, WITHIN_MS, 'those of the company that was locked');
        assert.equal(await count('dead_letter'), 0);
    });

    test('test_company_when_a_begun_mark_of_it_is_held_then_the_rows_of_others_are_found_all_the_same', async () => {
        const companies = await newCompanies(), [locked, ...others] = companies;
        const command = randomUUID();
        const release = await hold(`INSERT INTO begun_mark (company_id, command_id) VALUES ('${locked.id}', '${command}')`);
        const put = (company, id) => stack.run(`INSERT INTO deferred (company_id, command_id, pool, slot, reason, type, actor, role, fingerprint, body)
            VALUES ('${company.id}', '${id}', 'projects', 3, 'retry', 'project.create', gen_random_uuid(), 'project_manager', 1, '\\x8103a158')`);
        await put(locked, command);
        for (const company of others) await put(company, randomUUID());
        const inboxOf = async (company) => count(`inbox WHERE company_id = '${company.id}'`);
        for (const company of others) await until(async () => (await inboxOf(company)) === 1, WITHIN_MS, 'the commands of the others');
        assert.equal(await inboxOf(locked), 0);
        await release();
        await until(async () => (await inboxOf(locked)) === 1, WITHIN_MS, 'that of the company that was locked');
        assert.equal(await count('dead_letter'), 0);
    });

    test('test_replay_when_the_company_of_a_dead_letter_is_held_then_all_are_replayed_and_its_command_waits_for_it', async () => {
        const companies = await newCompanies(), [locked, ...others] = companies;
        const operator = stack.client({ role: 'super_admin' });
        const before = '2026-02-01T00:00:00Z'; // those of this test
        const [id] = await Promise.all(companies.map((company) => addLetter(stack, company.id, 'Replayed')));
        const release = await hold(LOCKS.sequence(locked.id));
        const many = await operator.post('/v1/admin/dead-letters/replay', { before });
        assert.deepEqual([many.status, many.body.count, many.body.locked], [200, companies.length, 0]);
        const left = (of) => count(`dead_letter WHERE company_id = '${of.id}'`);
        for (const company of others) await until(async () => (await left(company)) === 0, WITHIN_MS, 'the replays of the others');
        const again = await operator.post(`/v1/admin/dead-letters/${id}/replay`);
        assert.deepEqual([again.status, again.body.count], [200, 0], 'it is being replayed');
        assert.deepEqual(await locked.names(), []);
        await release();
        await until(async () => (await left(locked)) === 0, WITHIN_MS, 'that of the company that was locked');
        for (const company of companies) assert.deepEqual(await company.names(), ['Replayed']);
    });

    test('test_dead_letters_when_one_is_held_then_the_others_are_replayed_or_dropped_and_it_is_counted', async () => {
        const operator = stack.client({ role: 'super_admin' });
        const company = await stack.addCompany();
        const before = '2026-02-01T00:00:00Z';
        const add = () => addLetter(stack, company, 'Replayed');
        const held = await addLetter(stack, company, 'Replayed', { at: '2026-01-01T00:00:00Z' }); // the first in order
        const release = await hold(`SELECT FROM dead_letter WHERE id = '${held}' FOR UPDATE`);
        const outcome = ({ status, body }) => [status, body.count, body.locked, body.more];
        await add(), await add();
        assert.deepEqual(outcome(await operator.post('/v1/admin/dead-letters/replay', { company, before, limit: 1 })), [200, 1, 1, true]);
        assert.deepEqual(outcome(await operator.post('/v1/admin/dead-letters/replay', { company, before, limit: 1 })), [200, 1, 1, false]);
        await add();
        assert.deepEqual(outcome(await operator.delete(`/v1/admin/dead-letters?company=${company}&before=${before}`)), [200, 1, 1, false]);
        for (const request of [operator.post(`/v1/admin/dead-letters/${held}/replay`), operator.delete(`/v1/admin/dead-letters/${held}`)]) {
            const { status, body } = await request;
            assert.deepEqual([status, body.type], [503, '/problems/database-locked']);
        }
        await release();
        assert.equal((await operator.delete(`/v1/admin/dead-letters/${held}`)).status, 204);
        await until(async () => (await count(`dead_letter WHERE company_id = '${company}'`)) === 0, WITHIN_MS, 'the replays');
    });

    for (const [what, lock] of Object.entries({ sequence: LOCKS.sequence, counter: LOCKS.counter }))
        test(`test_command_when_workers_restart_gracefully_while_its_${what}_is_held_then_it_is_not_condemned`, async (t) => {
            const companies = await newCompanies(), [locked, other] = companies;
            for (const company of companies) await company.send(1);
            await until(() => done(companies, 1), WITHIN_MS, 'the first command of each');
            const release = await hold(lock(locked.id));
            await locked.send(20);
            for (let i = 0; i < RESTARTS; i++) {
                await other.send(1);
                await until(async () => (await other.names()).length === 2 + i, WITHIN_MS, 'another company');
                // It is tried, and found locked, in each process.
                await until(async () => (await count(`begun_mark WHERE alone > 0`)) === 0, WITHIN_MS, 'no run to be counted');
                await stack.worker.stop();
                await stack.worker.start();
            }
            const [{ most }] = await stack.query('SELECT coalesce(max(alone), 0) AS most FROM begun_mark');
            t.diagnostic(`after ${RESTARTS} restarts the begun marks count ${most} runs alone at most`);
            await release();
            await assertAllOnceAndInOrder(companies);
        });
});
