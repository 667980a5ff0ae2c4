// The broker and the database fail. Clients get 503 or slower answers, no process ever hangs, and all goes on without help; the test prints
// how long that takes from the end of the fault.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { newAgent, send } from '../lib/http.mjs';
import { Load, percentile } from '../lib/load.mjs';
import { sleep, until } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';

let stack;
before(async () => {
    const settings = { CORTEX_UNCONFIRMED_MAX: '200', CORTEX_WAIT_MS: '2000' };
    stack = await startStack('broker_faults', { gateway: settings });
});
after(async () => {
    await stack?.broker.alarm(false).catch(() => {});
    await stack?.stop();
});

const isReady = async () => (await send(`${stack.url}/readyz`)).status === 200;

async function timed(request) {
    const begun = performance.now();
    const answer = await request();
    return { answer, ms: performance.now() - begun };
}

const since = (begun) => Math.round(performance.now() - begun);

function report(t, { written, done }) {
    const all = done === undefined ? '' : `, all that was accepted is done after ${done} ms`;
    t.diagnostic(`a write is answered after ${written} ms${all}`);
}

// → how long it took from `begun` until one more write is answered with success
async function untilWritten(api, begun) {
    await until(async () => (await api.post('/v1/projects', { name: 'After' })).status === 201, 30_000, 'a write');
    return since(begun);
}

// → how long it took from `begun` until everything that was accepted has its row
async function untilDone(company, accepted, begun) {
    const missing = async () => {
        const rows = new Set((await stack.query(`SELECT id FROM project WHERE company_id = '${company}'`)).map((row) => row.id));
        return accepted.filter((id) => !rows.has(id));
    };
    await until(async () => (await missing()).length === 0, 60_000, 'a row for each accepted command');
    return since(begun);
}

// Waits until everything that was accepted has its row, and nothing has two.
async function expectEffects(company, accepted) {
    await untilDone(company, accepted, performance.now());
    const [{ events, commands, seq }] = await stack.query(`SELECT count(*) AS events, count(DISTINCT command_id) AS commands,
        (SELECT seq FROM company_sequence WHERE company_id = '${company}') AS seq FROM events WHERE company_id = '${company}'`);
    assert.equal(events, commands, 'one event a command');
    assert.equal(events, seq, 'no gaps');
}

function expectOnly503(load) {
    for (const answer of load.others)
        assert.equal(answer.status, 503, `only 503 is allowed beside success: ${answer.status} ${answer.text?.slice(0, 200)} ${answer.error ?? ''}`);
    for (const answer of load.others) assert.match(answer.headers['retry-after'], /^\d+$/);
}

describe('memory alarm', () => {
    test('test_alarm_then_reads_at_their_speed_writes_503_and_what_was_accepted_goes_through', async (t) => {
        const company = await stack.addCompany();
        const api = stack.client({ company });
        const project = (await api.post('/v1/projects', { name: 'Before' })).body;
        const usual = await readTimes(api, project);

        await stack.broker.alarm(true);
        const load = new Load(stack, company, { connections: 32, headers: { prefer: 'respond-async' } });
        load.start();
        await until(() => load.others.some((answer) => answer.status === 503), 30_000, 'the first 503');
        const during = await readTimes(api, project);
        await load.stop();
        await stack.broker.alarm(false);
        const begun = performance.now();
        const [written, done] = await Promise.all([untilWritten(api, begun), untilDone(company, load.accepted, begun)]);
        report(t, { written, done });

        expectOnly503(load);
        const bound = Math.max(50, 10 * percentile(usual, 0.95));
        assert.ok(percentile(during, 0.95) < bound, `reads: p95 ${percentile(during, 0.95)} ms, usually ${percentile(usual, 0.95)} ms`);

        await until(isReady, 30_000, 'readiness');
        await expectEffects(company, [project.id, ...load.accepted]);
    });

    async function readTimes(api, project) {
        const times = [];
        for (let i = 0; i < 100; i++) {
            const [get, health] = [await timed(() => api.get(`/v1/projects/${project.id}`)), await timed(() => send(`${stack.url}/healthz`))];
            assert.deepEqual([get.answer.status, health.answer.status], [200, 200]);
            times.push(get.ms, health.ms);
        }
        return times;
    }

    test('test_alarm_when_a_client_waits_for_its_result_then_503_and_not_success', async (t) => {
        await stack.broker.alarm(true);
        const agent = newAgent(400);
        const api = stack.client({ company: await stack.addCompany() }, agent);
        const answers = await Promise.all(Array.from({ length: 300 }, () => api.post('/v1/projects', { name: 'Alarm' }, { prefer: 'wait=1' })));
        await stack.broker.alarm(false);
        report(t, { written: await untilWritten(api, performance.now()) });
        agent.destroy();
        // Nothing was confirmed, so nothing may be called accepted.
        assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [503]);
        await until(isReady, 30_000, 'readiness');
    });
});

// The same for each part that goes away under load.
async function expectRecovery(t, fault) {
    const company = await stack.addCompany();
    const load = new Load(stack, company, { connections: 16 });
    load.start();
    await until(() => load.accepted.length > 100, 30_000, 'some load');
    await fault();
    const begun = performance.now(), before = [...load.accepted];
    const more = (count) => until(() => load.accepted.length > before.length + count, 60_000, 'the load to go on').then(() => since(begun));
    const [written, done] = await Promise.all([more(0), untilDone(company, before, begun), more(100)]);
    report(t, { written, done });
    await load.stop();
    await until(isReady, 30_000, 'readiness');
    expectOnly503(load);
    await expectEffects(company, load.accepted);
}

describe('restarts under load', () => {
    test('test_broker_restart_then_only_503_and_it_reconnects_by_itself', (t) => expectRecovery(t, () => stack.broker.restart()));

    test('test_broker_killed_then_nothing_accepted_is_lost', (t) => expectRecovery(t, async () => {
        await stack.broker.kill();
        await stack.broker.start();
    }));

    test('test_database_restart_then_only_503_and_it_reconnects_by_itself', (t) => expectRecovery(t, () => stack.database.restart()));

    test('test_broker_away_then_health_and_reads_go_on', async (t) => {
        const api = stack.client();
        const project = (await api.post('/v1/projects', { name: 'Here' })).body;
        await stack.broker.stop();
        await until(async () => !(await isReady()), 10_000, 'readiness to end');
        for (let i = 0; i < 20; i++) {
            assert.equal((await send(`${stack.url}/healthz`)).status, 200);
            assert.equal((await api.get(`/v1/projects/${project.id}`)).status, 200);
            await sleep(20);
        }
        assert.equal((await api.post('/v1/projects', { name: 'x' })).status, 503);
        await stack.broker.start();
        report(t, { written: await untilWritten(api, performance.now()) });
        await until(isReady, 30_000, 'readiness');
    });

    test('test_database_away_then_503_at_once_and_what_was_accepted_is_done_when_it_is_back', async (t) => {
        const company = await stack.addCompany();
        const api = stack.client({ company });
        await stack.database.stop();
        const read = await timed(() => api.get('/v1/projects'));
        assert.equal(read.answer.status, 503);
        assert.ok(read.ms < 6000, `${read.ms} ms`);
        const write = await api.post('/v1/projects', { name: 'Patient' }, { prefer: 'respond-async' });
        assert.equal(write.status, 202, write.text);
        await stack.database.start();
        const begun = performance.now(), id = write.headers.location.split('/').pop();
        const [written, done] = await Promise.all([untilWritten(api, begun), untilDone(company, [id], begun)]);
        report(t, { written, done });
        assert.equal((await api.get(`/v1/projects/${id}`)).status, 200);
    });
});
