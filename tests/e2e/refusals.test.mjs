// The broker refuses a message for other reasons than a full queue. Then the gateway does not say that the queue is full: it connects anew,
// so that a connection on which one queue's messages are refused for good does not keep companies out.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { expectProblem, expectStatus } from './api/expect.mjs';
import { companyOf } from '../lib/partition.mjs';
import { sleep, until } from '../lib/process.mjs';
import { Refuser } from '../lib/refuser.mjs';
import { broker, ensureServers } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';

const REFUSED_AT_MOST_MS = 5000;
let stack, refuser, refused, other;
before(async () => {
    await ensureServers();
    const { port } = new URL(await broker.url('x'));
    refuser = await Refuser.open(Number(port));
    const name = `refusals_${process.pid}`;
    const url = new URL(await broker.url(name, 'cortex_gateway'));
    url.port = refuser.port;
    stack = await startStack('refusals', { gateway: { CORTEX_AMQP_URL: url.href, CORTEX_GATEWAY_PROCESSES: '1' } });
    [refused, other] = await Promise.all([3, 4].map((partition) => stack.addCompany('One', companyOf(partition))));
});
after(async () => {
    await stack?.stop();
    refuser?.close();
});

describe('refusals', () => {
    test('test_queue_when_it_refuses_though_it_is_not_full_then_not_called_full_and_the_connection_is_made_anew', async (t) => {
        const api = stack.client({ company: refused });
        expectStatus(await api.post('/v1/projects', { name: 'Before' }), 201);
        refuser.refuse('projects.03.');
        const begun = performance.now();
        expectProblem(await api.post('/v1/projects', { name: 'Refused' }), 503, 'broker-unavailable');
        await until(async () => (await api.post('/v1/projects', { name: 'After' })).status === 201, 30_000, 'a write');
        const took = performance.now() - begun;
        t.diagnostic(`refused for ${Math.round(took)} ms`);
        assert.ok(took < REFUSED_AT_MOST_MS, `${took} ms`);
    });

    test('test_queue_when_it_goes_on_refusing_then_a_connection_is_made_once_a_second_at_most_and_others_go_on', async () => {
        const [api, others] = [refused, other].map((company) => stack.client({ company }));
        const before = refuser.accepted;
        refuser.refuse('projects.03.', { always: true });
        const end = Date.now() + 8000;
        while (Date.now() < end) {
            expectProblem(await api.post('/v1/projects', { name: 'Refused' }), 503, 'broker-unavailable');
            expectStatus(await others.post('/v1/projects', { name: 'Another' }), 201);
            await sleep(50);
        }
        const made = refuser.accepted - before;
        assert.ok(made >= 2 && made <= 9, `${made} connections in 8 s`); // later they are made ever more rarely: test_refusals
        refuser.accept();
        await until(async () => (await api.post('/v1/projects', { name: 'After' })).status === 201, 30_000, 'a write');
    });
});
