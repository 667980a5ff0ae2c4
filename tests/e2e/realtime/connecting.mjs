import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { sleep, until } from '../../lib/process.mjs';
import { claimsOf, sign } from '../../lib/token.mjs';
import { newCentrifuge, once, Speaker } from './clients.mjs';

export function connecting(shared) {
    const byHand = shared.isRepeated ? () => {} : test; // it says the same whatever client is in use
    describe('connecting', () => {
        test('test_connect_when_the_token_is_good_then_connected_and_kept_alive', async () => {
            const client = newCentrifuge(shared.stack, { token: shared.stack.token() });
            const faults = [];
            client.on('disconnected', (context) => faults.push(context));
            client.on('connecting', ({ code }) => code !== 0 && faults.push(code));
            client.connect();
            await client.ready(5000);
            await sleep(1500); // three pings
            assert.equal(client.state, 'connected');
            assert.deepEqual(faults, []);
            client.disconnect();
        });

        byHand('test_connect_when_welcome_then_with_ping_pong_and_ttl', async () => {
            const speaker = await Speaker.connected(shared.stack, { ttl: 100 });
            assert.match(speaker.welcome.client, /^[0-9a-f-]{36}$/);
            assert.match(speaker.welcome.version, /^cortexbuild /);
            assert.equal(speaker.welcome.ping, 1);
            assert.equal(speaker.welcome.pong, true);
            assert.equal(speaker.welcome.expires, true);
            assert.ok(speaker.welcome.ttl >= 95 && speaker.welcome.ttl <= 100);
            await speaker.close();
        });

        test('test_connect_when_without_a_token_then_101_and_the_client_stays_away', async () => {
            const client = newCentrifuge(shared.stack, {});
            const away = once(client, 'disconnected');
            client.connect();
            assert.equal((await away).code, 101);
        });

        const forged = {
            rubbish: () => 'not.a.token',
            with_another_key: () => sign(claimsOf({ company: shared.stack.company }), 'another secret that is long enough, surely'),
            without_signature: () => sign(claimsOf({ company: shared.stack.company }), '', { alg: 'none' }),
            without_a_company: () => sign({ ...claimsOf({ company: shared.stack.company }), company: undefined }, shared.stack.secret),
        };
        for (const [what, token] of Object.entries(forged))
            test(`test_connect_when_the_token_is_${what}_then_3500_and_the_client_stays_away`, async () => {
                const client = newCentrifuge(shared.stack, { token: token() });
                const away = once(client, 'disconnected');
                client.connect();
                assert.equal((await away).code, 3500);
            });

        test('test_connect_when_the_token_has_expired_then_the_client_gets_another', async () => {
            let asked = 0;
            const client = newCentrifuge(shared.stack, {
                token: shared.stack.token({ ttl: -60 }),
                getToken: async () => (asked++, shared.stack.token()),
            });
            client.on('error', () => {});
            client.connect();
            await client.ready(5000);
            assert.equal(asked, 1);
            client.disconnect();
        });

        byHand('test_connect_when_it_does_not_come_then_3502', async () => {
            const speaker = await Speaker.open(shared.stack);
            assert.deepEqual(await speaker.closed, { code: 3502, reason: 'stale' });
        });

        byHand('test_commands_when_not_of_the_protocol_then_3501', async () => {
            for (const message of ['hello', '{', '[]', '{"id":1}', '{"id":2,"subscribe":{"channel":"x"}}', '{}', '{"id":1,"connect":7}']) {
                const speaker = await Speaker.open(shared.stack);
                speaker.say(message);
                assert.equal((await speaker.closed).code, 3501, message);
            }
        });

        byHand('test_ping_when_the_client_does_not_answer_then_3012', async () => {
            const speaker = await Speaker.connected(shared.stack, {}, { answersPings: false });
            assert.deepEqual(await speaker.closed, { code: 3012, reason: 'no pong' });
            assert.equal(speaker.pings, 1);
        });

        byHand('test_token_when_it_expires_then_3005', async () => {
            const speaker = await Speaker.connected(shared.stack, { ttl: 1 });
            assert.deepEqual(await speaker.closed, { code: 3005, reason: 'connection expired' });
        });

        test('test_token_when_refreshed_in_time_then_the_socket_stays_open', async () => {
            const user = randomUUID();
            let asked = 0;
            const client = newCentrifuge(shared.stack, {
                token: shared.stack.token({ user, ttl: 2 }),
                getToken: async () => (asked++, shared.stack.token({ user, ttl: 100 })),
            });
            const firstOneEnds = Date.now() + 2000 + shared.leewayMs;
            const breaks = [];
            client.on('connecting', ({ code }) => code !== 0 && breaks.push(code));
            client.connect();
            await client.ready(5000);
            await until(() => asked === 1);
            await sleep(firstOneEnds + 500 - Date.now());
            assert.equal(client.state, 'connected');
            assert.equal(asked, 1);
            assert.deepEqual(breaks, []);
            client.disconnect();
        });

        byHand('test_refresh_when_with_the_token_of_somebody_else_then_3500', async () => {
            const speaker = await Speaker.connected(shared.stack, { user: randomUUID() });
            speaker.say({ id: 2, refresh: { token: shared.stack.token({ user: randomUUID() }) } });
            assert.equal((await speaker.closed).code, 3500);
        });
    });
}
