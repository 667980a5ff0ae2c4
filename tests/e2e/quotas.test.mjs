// What one company may fill in bytes: commands that wait in the database, and the content of its exports. Past it the company is told so, with
// a sentence, and other companies notice nothing. When there is room again, so is the company's turn.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { expectProblem, expectStatus } from './api/expect.mjs';
import { addProjects, begin, ended } from '../lib/exports.mjs';
import { companyOf } from '../lib/partition.mjs';
import { until } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';

const KIB = 1024;
const WAITING = 128 * KIB; // of one company
const FILE = 64 * KIB, FILES = 3 * FILE; // of one export, of all of a company
const MOST = 5_000; // commands: far more than it takes
const WITHIN_MS = 60_000; // far from what it takes: a machine under load

let stack;
before(async () => {
    stack = await startStack('quotas', {
        worker: {
            CORTEX_DEFERRED_BYTES: `${WAITING}`, CORTEX_PREFETCH: '128', CORTEX_BACKLOG_POLL_MS: '100',
            CORTEX_EXPORT_MAX: `${FILE}`, CORTEX_EXPORT_TOTAL: `${FILES}`, CORTEX_EXPORT_PIECE: '16k', CORTEX_EXPORT_SWEEP_MS: '200', CORTEX_JOB_POLL_MS: '100',
        },
    });
});
after(() => stack?.stop());

// In one partition, so that they share a queue and a worker.
async function newCompany() {
    const company = companyOf(3);
    await stack.addCompany('Company', company);
    return { company, api: stack.client({ company }) };
}

const post = (api) => api.post('/v1/projects', { name: 'Large', description: 'x'.repeat(4 * KIB) }, { prefer: 'respond-async' });

async function total(company) {
    const [row] = await stack.query(`SELECT t.rows, t.bytes, t.is_full, count(d) AS counted_rows, coalesce(sum(octet_length(d.body) + 512), 0) AS counted_bytes
        FROM deferred_total AS t LEFT JOIN deferred AS d ON d.company_id = t.company_id AND d.reason <> 'schedule'
        WHERE t.company_id = '${company}' GROUP BY t.company_id, t.pool`);
    if (row) assert.deepEqual([row.rows, row.bytes], [row.counted_rows, row.counted_bytes], 'what is counted is there');
    return row;
}

// Sends until it is refused, while another company's commands are done, if one is given. Returns how many were accepted.
async function fill(api, other) {
    for (let accepted = 0; accepted < MOST; ) {
        const answers = await Promise.all(Array.from({ length: 8 }, () => post(api)));
        accepted += answers.filter(({ status }) => status === 202).length;
        const refused = answers.find(({ status }) => status !== 202);
        if (refused) {
            assert.match(expectProblem(refused, 429, 'too-many-requests').body.detail, /commands of the company that wait hold too many bytes/);
            assert.ok(Number(refused.headers['retry-after']) >= 1);
            return accepted;
        }
        if (other && accepted % 40 === 0) expectStatus(await other.post('/v1/projects', { name: 'Beside' }), 201);
    }
    assert.fail('it is never full');
}

// Runs the statement in a transaction that stays open; returns what ends it.
async function hold(statement) {
    const session = stack.run(`BEGIN; ${statement}; SELECT pg_sleep(3600) /* held */`);
    const ended = assert.rejects(session, /canceling statement/);
    const sleeping = "query LIKE '%/* held */%' AND wait_event = 'PgSleep'";
    await until(async () => (await stack.query(`SELECT pid FROM pg_stat_activity WHERE ${sleeping}`)).length > 0, WITHIN_MS, 'the lock');
    return async () => {
        await stack.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE ${sleeping}`);
        await ended;
    };
}

const isServedAgain = (api) => until(async () => (await api.post('/v1/projects', { name: 'Again' })).status === 201, WITHIN_MS, 'room again');

async function projects(company) {
    return (await stack.query(`SELECT count(*) AS count FROM project WHERE company_id = '${company}' AND name = 'Large'`))[0].count;
}

describe('quotas', () => {
    test('test_commands_when_parked_ones_fill_the_quota_then_429_for_that_company_until_there_is_room', async (t) => {
        const { company, api } = await newCompany(), { api: other } = await newCompany();
        const letGo = await hold(`SELECT FROM company_sequence WHERE company_id = '${company}' FOR UPDATE`);
        const accepted = await fill(api, other);
        const full = await total(company);
        t.diagnostic(`${accepted} of 4 KiB were accepted; ${full.rows} waited with ${full.bytes} bytes`);
        assert.ok(full.is_full);
        expectStatus(await api.get('/v1/projects'), 200);
        expectStatus(await other.post('/v1/projects', { name: 'Beside' }), 201);
        await letGo();
        await isServedAgain(api);
        await until(async () => (await projects(company)) === accepted, WITHIN_MS, 'all that was accepted to be done');
        assert.deepEqual({ ...(await total(company)), is_full: false }, { rows: 0, bytes: 0, is_full: false, counted_rows: 0, counted_bytes: 0 });
    });

    test('test_commands_when_those_that_wait_for_another_attempt_fill_the_quota_then_429_as_well', async (t) => {
        const { company, api } = await newCompany();
        await stack.run(`CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.company_id = '${company}' THEN RAISE EXCEPTION 'clash' USING ERRCODE = 'serialization_failure'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER clash BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION clash()`);
        const accepted = await fill(api);
        const full = await total(company);
        t.diagnostic(`${accepted} of 4 KiB were accepted; ${full.rows} waited with ${full.bytes} bytes`);
        await stack.run('DROP FUNCTION clash() CASCADE');
        await until(async () => {
            await stack.run('UPDATE deferred SET due_at = now()');
            return (await projects(company)) === accepted;
        }, WITHIN_MS, 'all that was accepted to be done');
        await isServedAgain(api);
    });

    test('test_exports_when_they_fill_the_quota_then_409_for_that_company_until_some_are_gone', async () => {
        const { company, api } = await newCompany(), { company: otherCompany, api: other } = await newCompany();
        for (const id of [company, otherCompany]) await addProjects(stack, id, 120);
        const files = [];
        for (let i = 0; i < 2; i++) {
            files.push(await begin(api, { resource: 'project', format: 'ndjson' }));
            const { status, bytes } = await ended(api, files.at(-1));
            assert.equal(status, 'completed');
            assert.ok(bytes > FILE / 2 && bytes < FILE, `${bytes}`);
        }
        // Two are kept, with more than half of what each may have; so there is room for one more, while it has not ended.
        const answers = await Promise.all(Array.from({ length: 4 }, () => api.post('/v1/exports', { resource: 'project', format: 'ndjson' })));
        const made = answers.filter(({ status }) => status === 201), refused = answers.filter(({ status }) => status !== 201);
        assert.equal(made.length, 1, JSON.stringify(answers.map(({ status }) => status)));
        for (const answer of refused) assert.match(expectProblem(answer, 409, 'conflict').body.detail, /exports of the company hold too many bytes/);
        await ended(other, await begin(other, { resource: 'project', format: 'ndjson' }));
        await ended(api, made[0].body.id);
        expectProblem(await api.post('/v1/exports', { resource: 'project' }), 409, 'conflict');
        const kept = async () => (await stack.query(`SELECT t.bytes, coalesce(sum(octet_length(p.content)), 0) AS counted FROM export_total AS t
            LEFT JOIN export_piece AS p ON p.company_id = t.company_id WHERE t.company_id = '${company}' GROUP BY t.bytes`))[0];
        const { bytes, counted } = await kept();
        assert.equal(bytes, counted);
        for (const id of [...files, made[0].body.id]) expectStatus(await api.delete(`/v1/exports/${id}`), 204);
        await until(async () => (await kept()).bytes === 0, WITHIN_MS, 'the sweep');
        await ended(api, await begin(api, { resource: 'project', format: 'ndjson' }));
    });
});
