// Webhooks to names: a name server of our own changes its answer between two questions, mixes what is allowed with what is not, answers late or never.
// A listener on the forbidden address hears nothing, whatever the name server says.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createListener } from 'node:net';
import { after, before, describe, test } from 'node:test';

import { expectCreated } from './api/expect.mjs';
import { NameServer, NEVER } from '../lib/name_server.mjs';
import { sleep, until } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';

const ALLOWED = '127.0.0.2', FORBIDDEN = '127.0.0.3';
const LIMIT_MS = 15_000; // of an attempt, look-up and all

// By name, what is said to the nth question for its addresses.
const NAMES = {
    'steady.test': () => [ALLOWED],
    'changing.test': (nth) => [nth % 2 ? ALLOWED : FORBIDDEN],
    'turning.test': (nth) => [nth === 1 ? FORBIDDEN : ALLOWED],
    'mixed.test': () => [ALLOWED, FORBIDDEN],
    'mixed6.test': () => [ALLOWED, '::1'],
    'mapped.test': () => [`::ffff:7f00:3`],
    'forbidden.test': () => [FORBIDDEN],
    'none.test': () => null,
    'empty.test': () => [],
    'late.test': () => ({ addresses: [FORBIDDEN], afterMs: 4000 }),
    'never.test': () => NEVER,
};

let stack, names, receiver, listener, company, api;
const heard = [], got = new Map();

before(async () => {
    names = await NameServer.open((name, family, nth) => NAMES[name]?.(nth) ?? null);
    receiver = createServer((request, response) => {
        const name = request.headers.host.split(':')[0];
        got.set(name, (got.get(name) ?? 0) + 1);
        request.resume().on('end', () => response.writeHead(204, { connection: 'close' }).end());
    });
    await new Promise((resolve) => receiver.listen(0, ALLOWED, resolve));
    listener = createListener((socket) => { heard.push(socket.remotePort); socket.destroy(); });
    await new Promise((resolve) => listener.listen(receiver.address().port, FORBIDDEN, resolve));
    const allow = { CORTEX_WEBHOOK_ALLOW: `${ALLOWED}/32` };
    stack = await startStack('webhook_dns', { pools: ['webhooks'], gateway: allow, worker: { ...allow, CORTEX_OUTGOING_DNS: names.address } });
    company = await stack.addCompany();
    api = stack.client({ company, role: 'company_admin' });
});
after(async () => {
    receiver?.close();
    listener?.close();
    names?.close();
    await stack?.stop();
});

const of = async (name) => (await stack.query(`SELECT d.status, d.error, d.took_ms, d.attempts FROM webhook_delivery AS d JOIN webhook_endpoint AS w ON w.company_id = d.company_id AND w.id = d.endpoint_id
    WHERE d.company_id = '${company}' AND w.url LIKE '%//${name}:%' ORDER BY d.event_seq`));

describe('webhooks to names', () => {
    test('test_webhooks_when_a_name_leads_astray_then_nothing_is_heard_there_and_each_attempt_ends_in_time', { timeout: 120_000 }, async () => {
        const url = (name) => `http://${name}:${receiver.address().port}/hooks`;
        for (const name of Object.keys(NAMES)) expectCreated(await api.post('/v1/webhook-endpoints', { url: url(name), event_types: ['project.*'], order: 'endpoint' }), '/v1/webhook-endpoints');
        const began = Date.now();
        const project = expectCreated(await api.post('/v1/projects', { name: 'Bridge' }), '/v1/projects');
        for (let i = 0; i < 5; i++) await api.patch(`/v1/projects/${project.id}`, { name: `Bridge ${i}` });
        await until(async () => (await of('steady.test')).every(({ status }) => status === 'delivered'), 30_000, 'what has a steady name');
        assert.equal(got.get('steady.test'), 6);
        for (const name of Object.keys(NAMES).filter((one) => one !== 'steady.test'))
            await until(async () => (await of(name))[0]?.attempts > 0, LIMIT_MS + 10_000 - (Date.now() - began) + 10_000, `an attempt to ${name}`);
        for (const name of ['mixed.test', 'mixed6.test', 'mapped.test', 'forbidden.test', 'late.test', 'never.test', 'none.test', 'empty.test']) {
            const [first] = await of(name);
            assert.equal(first.status, 'retrying', `${name}: ${JSON.stringify(first)}`); // it may be mended
            assert.ok(first.took_ms < LIMIT_MS + 1000, `${name}: ${first.took_ms} ms`);
            assert.equal(got.get(name), undefined, name);
        }
        for (const name of ['mixed.test', 'mixed6.test', 'mapped.test', 'forbidden.test', 'late.test']) {
            const [first] = await of(name);
            assert.match(`${first.error}`, /not allowed.*this machine/, `${name}: ${JSON.stringify(first)}`);
        }
        await until(async () => (await of('turning.test'))[0].status === 'delivered', 30_000, 'the second attempt, when the name leads where it should');
        // Of a name that changes, what was judged is what was connected to: the second event met the forbidden address.
        assert.equal((await of('changing.test'))[0].status, 'delivered');
        const failed = await stack.query(`SELECT a.error FROM webhook_attempt AS a JOIN webhook_delivery AS d ON d.company_id = a.company_id AND d.id = a.delivery_id
            JOIN webhook_endpoint AS w ON w.company_id = d.company_id AND w.id = d.endpoint_id WHERE w.url LIKE '%//changing.test:%'`);
        assert.ok(failed.length > 0);
        for (const { error } of failed) assert.match(error, /not allowed.*this machine/);
        await until(() => names.count('changing.test') >= 3, 30_000, 'another look');
        await sleep(1000);
        assert.deepEqual(heard, []);
    });

    test('test_webhooks_when_the_name_is_one_of_this_machine_then_422_before_it_is_looked_up', async () => {
        const answer = await api.post('/v1/webhook-endpoints', { url: 'http://a.localhost/', event_types: ['*'] });
        assert.equal(answer.status, 422);
        assert.equal(names.count('a.localhost'), 0);
    });
});
