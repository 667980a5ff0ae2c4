// What an endpoint has missed is sent again: once each, under the webhook-id that it had, or would have had.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { expectCreated, expectProblem, expectStatus } from './api/expect.mjs';
import { sleep, until } from '../lib/process.mjs';
import { Receiver } from '../lib/receiver.mjs';
import { startStack } from '../lib/stack.mjs';

const BEGIN = '2026-01-01T00:00:00Z';
const COUNT = 40;

let stack, receiver, paths = 0;

before(async () => {
    const allow = { CORTEX_WEBHOOK_ALLOW: '127.0.0.0/8' };
    stack = await startStack('webhook_recovery', { pools: ['webhooks'], gateway: allow, worker: { ...allow, CORTEX_JOB_LEASE_MS: '2000', CORTEX_JOB_POLL_MS: '100', CORTEX_JOB_RETRY_MS: '100' } });
    receiver = await Receiver.open();
});
after(async () => {
    receiver?.close();
    await stack?.stop();
});

// A company whose only endpoint gets what is done to projects.
async function scene(answer = { status: 204 }, body = {}) {
    const company = await stack.addCompany(), path = `/${++paths}`;
    receiver.answer(path, answer);
    const api = stack.client({ company, role: 'company_admin' });
    const endpoint = expectCreated(await api.post('/v1/webhook-endpoints', { url: receiver.url(path), event_types: ['project.*'], ...body }), '/v1/webhook-endpoints');
    return { company, path, api, endpoint, at: `/v1/webhook-endpoints/${endpoint.id}` };
}

const makeProjects = (api, count) => Promise.all(Array.from({ length: count }, async (_, i) => expectCreated(await api.post('/v1/projects', { name: `Bridge ${i}` }), '/v1/projects').id));
const deliveries = ({ company }) => stack.query(`SELECT id, event_seq AS seq, event_type AS type, status, attempts FROM webhook_delivery WHERE company_id = '${company}' ORDER BY event_seq`);
const statuses = async (s) => Object.fromEntries(await stack.query(`SELECT status, count(*)::integer AS count FROM webhook_delivery WHERE company_id = '${s.company}' GROUP BY 1`)
    .then((rows) => rows.map(({ status, count }) => [status, count])));
const idsOf = (s) => receiver.of(s.path).map(({ headers }) => headers['webhook-id']);

async function recover(s, body = { since: BEGIN }) {
    const made = expectCreated(await s.api.post(`${s.at}/recover`, body), `${s.at}/recover`);
    await until(async () => (await s.api.get(`${s.at}/recover/${made.id}`)).body.ended_at, 15_000, 'the recovery to end');
    return expectStatus(await s.api.get(`${s.at}/recover/${made.id}`), 200).body;
}

describe('recovery of webhooks', () => {
    test('test_recovery_when_deliveries_were_skipped_then_each_is_sent_once_under_its_id', async () => {
        const s = await scene();
        await makeProjects(s.api, 1);
        await receiver.count(s.path, 1);
        expectStatus(await s.api.patch(s.at, { status: 'disabled' }), 200);
        await makeProjects(s.api, COUNT);
        await until(async () => (await statuses(s)).skipped === COUNT, 30_000, 'all to be skipped');
        expectProblem(await s.api.post(`${s.at}/recover`, { since: BEGIN }), 409, 'conflict');
        expectStatus(await s.api.patch(s.at, { status: 'active' }), 200);
        const skipped = (await deliveries(s)).filter(({ status }) => status === 'skipped').map(({ id }) => id);

        const done = await recover(s);
        assert.deepEqual([done.status, done.error, done.recovered], ['completed', null, COUNT]);
        await until(async () => (await statuses(s)).delivered === COUNT + 1, 30_000, 'all to be delivered');
        assert.deepEqual(idsOf(s).slice(1).sort(), skipped.sort());
        assert.equal((await recover(s)).recovered, 0);
        await sleep(500);
        assert.equal(receiver.of(s.path).length, COUNT + 1);
    });

    test('test_recovery_when_deliveries_have_failed_then_those_alone_and_only_of_the_time_that_is_asked_for', async () => {
        const s = await scene({ status: 500, headers: { 'webhook-delivery': 'abort-message' } });
        await makeProjects(s.api, 3);
        await until(async () => (await statuses(s)).failed === 3, 30_000, 'all to fail');
        const all = await deliveries(s);
        receiver.answer(s.path, { status: 204 });
        await makeProjects(s.api, 1);
        await until(async () => (await statuses(s)).delivered === 1, 30_000, 'one to be delivered');
        const [{ at }] = await stack.query(`SELECT time_text(max(event_at)) AS at FROM webhook_delivery WHERE company_id = '${s.company}' AND status = 'failed'`);
        assert.equal((await recover(s, { since: BEGIN, until: '2026-01-02T00:00:00Z' })).recovered, 0);
        assert.equal((await recover(s, { since: BEGIN, which: ['skipped', 'missing'] })).recovered, 0);
        const before = all.filter(({ status }) => status === 'failed').length;
        const part = await recover(s, { since: BEGIN, until: at, which: ['failed'] });
        assert.ok(part.recovered < before, 'what happened at `until` is not of it');
        assert.equal((await recover(s, { since: at, which: ['failed'] })).recovered, before - part.recovered);
        await until(async () => (await statuses(s)).delivered === 4, 30_000, 'all to be delivered');
        assert.deepEqual((await deliveries(s)).map(({ id, attempts }) => [id, attempts]).slice(0, 3), all.map(({ id }) => [id, 2]));
    });

    test('test_recovery_when_an_endpoint_is_new_then_it_gets_what_it_asks_for_of_before_and_in_order', async () => {
        const early = await scene();
        const ids = await makeProjects(early.api, COUNT);
        for (const id of ids.slice(0, 5)) expectStatus(await early.api.patch(`/v1/projects/${id}`, { name: 'Dam' }), 200);
        await receiver.count(early.path, COUNT + 5);
        const path = `/${++paths}`;
        const late = expectCreated(await early.api.post('/v1/webhook-endpoints', { url: receiver.url(path), event_types: ['project.updated'], filters: [{ field: 'name', values: ['Dam'] }], order: 'endpoint' }), '/v1/webhook-endpoints');
        const s = { ...early, path, at: `/v1/webhook-endpoints/${late.id}` };
        assert.equal((await recover(s)).recovered, 5);
        const got = await receiver.count(path, 5);
        const seqs = got.map(({ text }) => JSON.parse(text).seq);
        assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b));
        assert.deepEqual(new Set(got.map(({ text }) => JSON.parse(text).type)), new Set(['project.updated']));
        await sleep(500);
        assert.equal(receiver.of(path).length, 5);
        assert.equal(receiver.of(early.path).length, COUNT + 5, 'the other endpoint has nothing twice');
    });

    test('test_recovery_when_deliveries_are_no_longer_kept_then_what_may_have_been_delivered_is_not_sent_again', async () => {
        const s = await scene();
        await makeProjects(s.api, 2);
        await until(async () => (await statuses(s)).delivered === 2, 30_000, 'both to be delivered');
        await stack.run(`DELETE FROM webhook_delivery WHERE company_id = '${s.company}'; UPDATE webhook_kept SET since = now()`);
        assert.equal((await recover(s)).recovered, 0);
        await stack.run("UPDATE webhook_kept SET since = '-infinity'");
        assert.equal((await recover(s)).recovered, 2);
    });

    test('test_recovery_when_the_worker_is_killed_again_and_again_then_it_goes_on_and_each_is_sent_under_one_id', { timeout: 180_000 }, async () => {
        const s = await scene();
        expectStatus(await s.api.patch(s.at, { status: 'disabled' }), 200);
        await makeProjects(s.api, 5);
        await stack.run(`WITH one AS (SELECT * FROM events WHERE company_id = '${s.company}' AND type = 'project.created' ORDER BY seq DESC LIMIT 1),
            last AS (SELECT seq FROM company_sequence WHERE company_id = '${s.company}')
            INSERT INTO events (company_id, seq, at, command_id, type, subject, project, actor, version, data)
            SELECT one.company_id, last.seq + n, one.at, gen_random_uuid(), one.type, gen_random_uuid(), one.project, one.actor, 1, one.data FROM one, last, generate_series(1, 3000) AS n;
            UPDATE company_sequence SET seq = seq + 3000 WHERE company_id = '${s.company}'`);
        await until(async () => (await statuses(s)).skipped >= 3005, 60_000, 'all to be skipped');
        expectStatus(await s.api.patch(s.at, { status: 'active' }), 200);
        const path = `${s.at}/recover`, made = expectCreated(await s.api.post(path, { since: BEGIN }), path);
        for (let kills = 0; kills < 4; kills++) {
            await stack.webhooks.kill();
            await stack.webhooks.start();
            await sleep(700);
        }
        await until(async () => (await s.api.get(`${path}/${made.id}`)).body.status === 'completed', 15_000, 'the recovery to end');
        await until(async () => (await statuses(s)).skipped === undefined && (await statuses(s)).waiting === undefined, 60_000, 'all to be delivered');
        const ids = new Set(idsOf(s)), all = new Set((await deliveries(s)).map(({ id }) => id));
        for (const id of all) assert.ok(ids.has(id), `${id} has not come`);
        assert.deepEqual([...ids].filter((id) => !all.has(id)), []);
        const { body } = expectStatus(await s.api.get(`/v1/operations/${made.id}`), 200);
        assert.equal(body.progress.percent, 100);
    });

    test('test_recovery_when_it_is_cancelled_or_its_endpoint_is_deleted_then_it_ends', async () => {
        const s = await scene();
        await makeProjects(s.api, 2);
        await stack.webhooks.stop();
        const path = `${s.at}/recover`;
        const asked = expectStatus(await s.api.post(path, { since: BEGIN }, { prefer: 'respond-async' }), 202);
        await stack.webhooks.start();
        await until(async () => (await s.api.get(asked.headers.location)).status === 200, 30_000, 'the command');
        const [made] = await until(async () => { const { body } = await s.api.get(path); return body.data.length > 0 && body.data; }, 30_000, 'the recovery');
        const cancelled = await s.api.delete(`/v1/operations/${made.id}`);
        assert.ok([202, 409].includes(cancelled.status), cancelled.text);
        await until(async () => (await s.api.get(`${path}/${made.id}`)).body.ended_at, 30_000, 'its end');
        expectStatus(await s.api.delete(s.at), 204);
        expectProblem(await s.api.get(`${path}/${made.id}`), 404, 'not-found');
        assert.equal((await stack.query(`SELECT count(*) FROM long_job WHERE company_id = '${s.company}'`))[0].count, 0);
    });

    test('test_recovery_when_its_times_or_what_it_names_are_wrong_then_422', async () => {
        const s = await scene(), path = `${s.at}/recover`;
        for (const [body, pointer] of [[{}, '/since'], [{ since: 'yesterday' }, '/since'], [{ since: BEGIN, until: BEGIN }, '/until'], [{ since: BEGIN, which: [] }, '/which'],
            [{ since: BEGIN, which: ['held'] }, '/which/0']])
            assert.deepEqual(expectProblem(await s.api.post(path, body), 422, 'validation').body.errors.map((one) => one.pointer), [pointer]);
        expectProblem(await stack.client({ company: s.company, role: 'project_manager' }).post(path, { since: BEGIN }), 403, 'forbidden');
    });
});
