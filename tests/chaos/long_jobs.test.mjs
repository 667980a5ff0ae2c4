// Long jobs under faults: the worker that holds the job is killed, the broker and the database restart, the broker takes nothing more, and
// the job outlasts the broker's time limit for consumers. Each row is in the file once, and each change of status is published once.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { addProjects, begin, content, ended, expectEachOnce } from '../lib/exports.mjs';
import { Follower } from '../lib/follower.mjs';
import { Load } from '../lib/load.mjs';
import { sleep, until } from '../lib/process.mjs';
import { size, within } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const PROJECTS = size(50_000);
const LEASE_MS = 1500, CONSUMER_TIMEOUT_MS = 1000;

let stack;
before(async () => {
    stack = await startStack('long_jobs', {
        worker: {
            CORTEX_WORKER_PROCESSES: '2', CORTEX_JOB_LEASE_MS: String(LEASE_MS), CORTEX_JOB_POLL_MS: '100', CORTEX_JOB_RETRY_MS: '100',
            CORTEX_EXPORT_PIECE: '16k', CORTEX_JOB_STEP_MS: '200', // small pieces, and a rest as long as the step after each
        },
    });
});
after(() => stack?.stop());

async function jobOf(id) {
    const [job] = await stack.query(`SELECT status, done, lease, attempts, told_seq, event_seq FROM long_job WHERE id = '${id}'`);
    return job;
}

function eventsOf(id) {
    return stack.query(`SELECT type FROM events WHERE subject = '${id}' ORDER BY seq`).then((rows) => rows.map(({ type }) => type));
}

async function newCompany(projects) {
    const company = await stack.addCompany();
    await addProjects(stack, company, projects);
    const ids = (await stack.query(`SELECT id FROM project WHERE company_id = '${company}'`)).map(({ id }) => id);
    return { company, ids, api: stack.client({ company }) };
}

// Waits for the job to get on, so that each blow falls into its middle.
async function hasMoved(id, t, what) {
    const { done } = await jobOf(id);
    const began = Date.now();
    await until(async () => (await jobOf(id)).done > done || (await jobOf(id)).status === 'completed', 60_000, `the job to go on after ${what}`);
    t.diagnostic(`${what}: the job went on after ${Date.now() - began} ms`);
}

const blows = [
    ['kill -9 of all workers', async () => { await stack.worker.kill(); await stack.worker.start(); }],
    ['a restart of the broker', () => stack.broker.restart()],
    ['kill -9 of all workers again', async () => { await stack.worker.kill(); await stack.worker.start(); }],
    ['a restart of the database', () => stack.database.restart()],
    ['SIGTERM', async () => { await stack.worker.stop(); await stack.worker.start(); }],
];

// The last one that was begun when it is not through yet, else another one: at its first steps.
async function runningExport(api, begun) {
    if (begun.length === 0 || (await jobOf(begun.at(-1))).status !== 'running')
        begun.push(await begin(api, { resource: 'project', format: 'ndjson' }));
    const id = begun.at(-1);
    await until(async () => (await jobOf(id)).done > 0, 30_000, 'the first step');
    return id;
}

describe('long jobs', () => {
    test('test_export_when_its_workers_are_killed_and_both_servers_restart_then_each_row_is_in_it_once', async (t) => {
        const { company, ids, api } = await newCompany(PROJECTS);
        const follower = new Follower(stack, company);
        await follower.start();
        t.after(() => follower.stop());
        const begun = [];
        for (const [what, blow] of blows) {
            const id = await runningExport(api, begun);
            await blow();
            await hasMoved(id, t, what);
        }
        let holders = 0;
        for (const id of begun) {
            const seen = await ended(api, id, within(120_000));
            assert.equal(seen.status, 'completed', JSON.stringify(seen));
            expectEachOnce((await content(api, id)).text, ids);
            assert.equal(seen.rows, PROJECTS);
            await until(async () => { const job = await jobOf(id); return job.told_seq === job.event_seq; }, 30_000, 'the end to be published');
            assert.deepEqual(await eventsOf(id), ['export.created', 'export.started', 'export.completed']);
            holders += (await jobOf(id)).lease;
        }
        assert.ok(holders >= begun.length + 2, `${holders} holders of ${begun.length} jobs: some were taken over`);
        const { seq } = (await stack.query(`SELECT seq FROM company_sequence WHERE company_id = '${company}'`))[0];
        await until(() => follower.seen.has(seq) || follower.mustRead, 30_000, 'the client to hear of the end');
        assert.deepEqual(follower.faults.filter((fault) => fault instanceof Error), []);
    });

    test('test_job_when_it_lasts_longer_than_its_lease_and_the_brokers_time_limit_then_it_stays_its_holders', async (t) => {
        await stack.broker.ctl('eval', `application:set_env(rabbit, consumer_timeout, ${CONSUMER_TIMEOUT_MS}), application:set_env(rabbit, channel_tick_interval, 200).`);
        t.after(() => stack.broker.restart()); // with its own settings
        await stack.worker.stop();
        await stack.worker.start(); // channels take the limit when they open
        const { company, ids, api } = await newCompany(PROJECTS / 2);
        const load = new Load(stack, company, { connections: 2 });
        const id = await begin(api, { resource: 'project', format: 'ndjson' });
        await until(async () => (await jobOf(id)).done > 0, 30_000, 'the first step');
        const began = Date.now();
        load.start();
        await sleep(4 * CONSUMER_TIMEOUT_MS);
        await load.stop();
        assert.ok(load.accepted.length > 0, 'commands go on meanwhile');
        const seen = await ended(api, id, within(120_000));
        const took = Date.now() - began;
        assert.equal(seen.status, 'completed');
        assert.ok(took > 2 * LEASE_MS && took > 2 * CONSUMER_TIMEOUT_MS, `${took} ms: make the export longer`);
        assert.equal((await jobOf(id)).lease, 1, 'one holder from its beginning to its end');
        expectEachOnce((await content(api, id)).text, ids);
        t.diagnostic(`${took} ms with one holder; lease ${LEASE_MS} ms, the broker's limit ${CONSUMER_TIMEOUT_MS} ms`);
    });

    test('test_job_when_the_broker_takes_nothing_then_its_heartbeat_keeps_it_until_its_start_can_be_published', async () => {
        const { ids, api } = await newCompany(50);
        const id = await begin(api, { resource: 'project', format: 'ndjson' });
        await ended(api, id);
        await stack.broker.alarm(true);
        // Made as the command would have made it, which cannot be sent now.
        const second = (await stack.query(`SELECT gen_random_uuid() AS id`))[0].id;
        await stack.run(`INSERT INTO export (company_id, id, resource, format, creator_id)
            SELECT company_id, '${second}', 'project', 'ndjson', creator_id FROM export WHERE id = '${id}'`);
        await until(async () => (await jobOf(second)).status === 'running', 30_000, 'the job to begin');
        await sleep(3 * LEASE_MS);
        const waiting = await jobOf(second);
        assert.deepEqual([waiting.status, waiting.lease, waiting.told_seq], ['running', 1, 0], 'still the first holder, its start unpublished');
        await stack.broker.alarm(false);
        assert.equal((await ended(api, second)).status, 'completed');
        assert.equal((await jobOf(second)).lease, 1);
        expectEachOnce((await content(api, second)).text, ids);
    });
});
