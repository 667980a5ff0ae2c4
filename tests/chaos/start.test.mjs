// Workers start, or take over, while very many commands of one company are parked, and of very many companies a few. Both those that come
// and those that are parked run at once: what is parked is found page by page, and work goes on between the pages.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { companyOf } from '../lib/partition.mjs';
import { until } from '../lib/process.mjs';
import { size, within } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const PARKED = size(3_000_000); // of one company
const COMPANIES = size(300_000); // with one each: the keys of all of them do not fit into one statement
const SOME = 2_000; // of those, more than one page of companies
const WITHIN_MS = within(120_000); // far from what it takes: a machine under load

let stack;
before(async () => {
    stack = await startStack('start', { worker: { CORTEX_PARKED_MAX: '4000000' } });
});
after(() => stack?.stop());

const count = async (from) => (await stack.query(`SELECT count(*) AS rows FROM ${from}`))[0].rows;

const park = (select) => stack.run(`INSERT INTO deferred (company_id, command_id, pool, slot, reason, type, actor, role, fingerprint, body)
    SELECT company, gen_random_uuid(), 'projects', slot, 'turn', 'project.create', gen_random_uuid(), 'project_manager', n, '\\x8103a158'
    FROM (${select}) AS parked`);

// Returns how long it took from the start of the workers until a command of another company, and one of those that were parked, had run.
async function startBeside(isParkedDone) {
    const company = companyOf(5);
    await stack.addCompany('Another', company);
    await stack.worker.stop();
    const answer = await stack.client({ company }).post('/v1/projects', { name: 'Fresh' }, { prefer: 'respond-async' });
    assert.equal(answer.status, 202);
    const begun = performance.now(), ms = {};
    await stack.worker.start();
    const first = async (what, isDone) => {
        await until(isDone, WITHIN_MS, what);
        ms[what] = Math.round(performance.now() - begun);
    };
    await Promise.all([
        first('a fresh command', async () => (await count(`inbox WHERE company_id = '${company}'`)) === 1),
        first('a parked command', isParkedDone),
    ]);
    return ms;
}

describe('start', () => {
    test('test_workers_when_they_start_with_millions_of_parked_commands_then_work_begins_before_they_are_counted', async (t) => {
        const company = companyOf(2);
        await stack.addCompany('Parked', company);
        await stack.worker.stop();
        await park(`SELECT '${company}'::uuid AS company, 2 AS slot, n FROM generate_series(1, ${PARKED}) AS n`);
        await stack.run('ANALYZE deferred');
        const ms = await startBeside(async () => (await stack.query(`SELECT 1 FROM inbox WHERE company_id = '${company}' LIMIT 1`)).length > 0);
        const left = await count('deferred');
        assert.ok(left > 0, 'most of them are still parked');
        t.diagnostic(`${PARKED} parked: ${JSON.stringify(ms)} ms after the start; ${left} were left`);
        await stack.worker.stop();
        await stack.run('TRUNCATE deferred');
    });

    test('test_workers_when_they_start_with_parked_commands_of_very_many_companies_then_work_begins_at_once', async (t) => {
        await stack.worker.stop();
        await stack.run(`WITH made AS (SELECT gen_random_uuid() AS id FROM generate_series(1, ${COMPANIES}))
            INSERT INTO company (id, name) SELECT id, 'One of many' FROM made`);
        await park(`SELECT id AS company, 0 AS slot, 1 AS n FROM company WHERE name = 'One of many'`);
        await stack.run('ANALYZE deferred');
        const many = `inbox JOIN company ON company.id = inbox.company_id WHERE company.name = 'One of many'`;
        const ms = await startBeside(async () => (await stack.query(`SELECT 1 FROM ${many} LIMIT 1`)).length > 0);
        t.diagnostic(`${COMPANIES} companies: ${JSON.stringify(ms)} ms after the start`);
        await until(async () => (await count(many)) >= SOME, WITHIN_MS, 'some more of them');
        assert.equal(await count('dead_letter'), 0);
    });
});
