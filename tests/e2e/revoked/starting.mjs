// A gateway that starts: as long as it does not know who was revoked it believes nobody, and the process before it serves everybody.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { describe, test } from 'node:test';

import { expectCreated, expectProblem, expectStatus } from '../api/expect.mjs';
import { newCentrifuge, once, Speaker } from '../realtime/clients.mjs';
import { send } from '../../lib/http.mjs';
import { Logged, until } from '../../lib/process.mjs';
import { database } from '../../lib/servers.mjs';

const revocations = '/v1/admin/revocations';

export function starting(shared) {
    describe('a gateway that starts', () => {
        test('test_gateway_when_started_without_the_database_then_503_until_it_knows_who_was_revoked', async () => {
            const { stack } = shared;
            const [user, friend] = [randomUUID(), randomUUID()];
            const iat = Math.floor(Date.now() / 1000) - 60;
            expectCreated(await stack.client().post(revocations, { user_id: user }), revocations);
            await database.stop();
            const count = stack.others.length;
            const started = stack.addGateway();
            await until(() => stack.others.length > count, 5000, 'the program');
            const address = stack.others.at(-1).settings.CORTEX_LISTEN, url = `http://${address}`;
            await until(async () => (await send(`${url}/healthz`)).status === 200, 30_000, 'its port');
            const client = newCentrifuge({ address }, { token: stack.token({ user: friend, iat }) });
            try {
                const ends = [];
                client.on('disconnected', ({ code }) => ends.push(code));
                client.connect();
                for (let i = 0; i < 8; i += 1)
                    for (const who of [{ user, iat }, { user: friend, iat }, { role: 'super_admin' }]) {
                        const api = stack.client(who, new Agent({ keepAlive: false }), url);
                        for (const answer of [await api.post('/v1/projects', { name: 'Early' }), await api.get('/v1/projects'), await api.get('/v1/events'),
                            await api.get('/v1/admin/pools'), await api.delete(`/v1/operations/${randomUUID()}`)])
                            expectProblem(answer, 503, 'database-unavailable');
                    }
                expectStatus(await send(`${url}/readyz`), 503);
                expectStatus(await send(`${url}/v1/projects`, { headers: { authorization: 'Bearer x.y.z' } }), 401);
                const speaker = await Speaker.open({ address });
                assert.deepEqual((await speaker.ask({ id: 1, connect: { token: stack.token({ user, iat }) } })).error,
                    { code: 100, message: 'internal server error', temporary: true });
                speaker.disconnect();
                assert.deepEqual([client.state, ends], ['connecting', []]);
                await database.start();
                await started;
                await client.ready(30_000); // by itself
                assert.deepEqual(ends, []);
                for (let i = 0; i < 8; i += 1) {
                    const api = stack.client({ user, iat }, new Agent({ keepAlive: false }), url);
                    expectProblem(await api.post('/v1/projects', { name: 'Revoked' }), 401, 'unauthenticated');
                }
                const revoked = newCentrifuge({ address }, { token: stack.token({ user, iat }) });
                const away = once(revoked, 'disconnected');
                revoked.connect();
                assert.equal((await away).code, 3500);
                const names = async () => (await stack.client({ user: friend, iat }, undefined, url).get('/v1/projects')).body.data.map(({ name }) => name);
                assert.ok(!(await names()).includes('Early'));
                await until(async () => (await stack.client().post('/v1/projects', { name: 'Fine' })).status === 201, 30_000, 'the worker');
            } finally {
                await database.start();
                client.disconnect();
            }
        });

        test('test_successor_when_it_is_not_ready_then_no_client_meets_it', async () => {
            const { stack } = shared;
            const file = `${stack.keyFile}.settings`;
            const url = await database.url('cortex_gateway', stack.name);
            writeFileSync(file, `CORTEX_DATABASE_URL=${url}\n`);
            const gateway = await stack.addGateway({ CORTEX_CONFIG: file, CORTEX_DATABASE_URL: undefined, CORTEX_GATEWAY_PROCESSES: '1', CORTEX_RELOAD_MS: '2000' });
            const log = new Logged(gateway.program, 'gateway.started', 'parent.settings_refused');
            const before = log.of('gateway.started').length;
            writeFileSync(file, `CORTEX_DATABASE_URL=${url.replace(/@[^/]+/, '@127.0.0.1:1')}\nCORTEX_RELOAD_MS=2000\n`);
            process.kill(gateway.program.child.pid, 'SIGHUP');
            await until(() => log.of('gateway.started').length > before, 30_000, 'the successor');
            let asked = 0;
            while (log.of('parent.settings_refused').length === 0) {
                expectStatus(await stack.client({}, new Agent({ keepAlive: false }), gateway.url).get('/v1/projects'), 200);
                asked += 1;
            }
            assert.ok(asked >= 5, `${asked} requests`);
            log.close();
            await gateway.program.stop();
        });
    });
}
