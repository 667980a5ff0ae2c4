import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { expectCreated, expectProblem, expectStatus } from '../api/expect.mjs';
import { Stall } from '../../lib/stall.mjs';
import { newCentrifuge, once, Speaker } from './clients.mjs';

const path = '/v1/admin/revocations';
const nowS = () => Math.floor(Date.now() / 1000);

export function revocation(shared) {
    describe('revocation of tokens', () => {
        let company, admin;

        before(async () => {
            company = await shared.stack.addCompany('Revoking');
            admin = shared.stack.client({ company });
        });

        // Issued a while ago, as the tokens that one revokes are.
        const old = (user) => ({ company, user, iat: nowS() - 60 });

        test('test_revocation_when_made_then_the_users_sockets_in_every_process_close_within_a_second', async () => {
            const user = randomUUID();
            const sockets = await Promise.all(Array.from({ length: 8 }, () => Speaker.connected(shared.stack, old(user))));
            const stranger = await Speaker.connected(shared.stack, old(randomUUID()));
            const began = Date.now(), stall = new Stall();
            expectCreated(await admin.post(path, { user_id: user }), path);
            const ends = await Promise.all(sockets.map(({ closed }) => closed));
            const took = Date.now() - began, late = stall.end();
            assert.ok(took < 1000 + late, `it took ${took} ms, and this process was held up for ${late} ms`);
            assert.deepEqual([...new Set(ends.map(({ code }) => code))], [3500]);
            assert.equal((await stranger.ask({ id: 2, ping: {} })).error.code, 108);
            await stranger.close();
        });

        test('test_revocation_when_made_then_the_token_is_refused_in_http_and_a_new_one_is_not', async () => {
            const user = randomUUID();
            const before = shared.stack.client(old(user));
            expectStatus(await before.get('/v1/projects'), 200);
            expectCreated(await admin.post(path, { user_id: user, before: new Date(Date.now() - 30_000).toISOString() }), path);
            const refused = async () => (await Promise.all([1, 2, 3, 4].map(() => before.get('/v1/projects')))).every(({ status }) => status === 401);
            for (const until = Date.now() + 1000; !(await refused()); ) assert.ok(Date.now() < until, 'after a second');
            expectProblem(await before.get('/v1/projects'), 401, 'unauthenticated');
            expectStatus(await shared.stack.client({ company, user }).get('/v1/projects'), 200);
        });

        test('test_revocation_when_the_gateway_starts_again_then_still_there', async () => {
            const user = randomUUID();
            expectCreated(await admin.post(path, { user_id: user }), path);
            await shared.stack.gateway.kill();
            await shared.stack.gateway.start();
            for (let i = 0; i < 4; i++) expectStatus(await shared.stack.client(old(user)).get('/v1/projects'), 401);
            const client = newCentrifuge(shared.stack, { token: shared.stack.token(old(user)) });
            const ended = once(client, 'disconnected');
            client.connect();
            assert.equal((await ended).code, 3500);
        });

        test('test_revocation_when_by_somebody_else_than_an_admin_then_403', async () => {
            for (const role of ['operative', 'supervisor', 'project_manager', 'developer'])
                expectProblem(await shared.stack.client({ company, role }).post(path, { user_id: randomUUID() }), 403, 'forbidden');
            expectCreated(await shared.stack.client({ company, role: 'super_admin' }).post(path, { user_id: randomUUID() }), path);
        });

        test('test_revocation_when_of_the_same_user_id_elsewhere_then_only_its_own_company_is_meant', async () => {
            const user = randomUUID();
            const elsewhere = await shared.stack.addCompany('Elsewhere');
            expectCreated(await admin.post(path, { user_id: user }), path);
            expectStatus(await shared.stack.client({ ...old(user), company: elsewhere }).get('/v1/projects'), 200);
        });

        test('test_revocation_when_malformed_then_422', async () => {
            for (const body of [{}, { user_id: 'x' }, { user_id: randomUUID(), before: 'yesterday' }, { user_id: randomUUID(), before: '2999-01-01T00:00:00Z' },
                { user_id: randomUUID(), expires_at: '2020-01-01T00:00:00Z' }])
                expectStatus(await admin.post(path, body), 422);
        });
    });
}
