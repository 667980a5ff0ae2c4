// The fallbacks by hand: an answer without an end, and POST /emulation, over two gateway processes.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import amqp from 'amqplib';

import { newAgent, send } from '../../lib/http.mjs';
import { until } from '../../lib/process.mjs';
import { newProject } from '../api/expect.mjs';
import { breakOff, newCentrifuge, use } from './clients.mjs';

// Reads the lines of a stream; `ended` when it is over.
class Stream {
    static async open(stack, token, headers = {}) {
        const stream = new Stream();
        stream.abort = new AbortController();
        const body = JSON.stringify({ id: 1, connect: { token } });
        stream.response = await fetch(`${stack.url}/connection/http_stream`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body, signal: stream.abort.signal });
        stream.lines = [];
        stream.ended = false;
        stream.#read();
        return stream;
    }

    async #read() {
        let text = '';
        try {
            for await (const piece of this.response.body.pipeThrough(new TextDecoderStream())) {
                text += piece;
                const lines = text.split('\n');
                text = lines.pop();
                this.lines.push(...lines.map((line) => JSON.parse(line)));
            }
        } catch { /* cut off by us */ }
        this.ended = true;
    }

    heard(what) {
        return until(() => this.lines.find(what), 10_000, 'a line').then(() => this.lines.find(what));
    }
}

export function fallbacks(shared) {
    const emulate = (body, headers = {}) =>
        fetch(`${shared.stack.url}/emulation`, { method: 'POST', headers: { 'Content-Type': 'application/json', Connection: 'close', ...headers }, body: JSON.stringify(body) });

    describe('fallbacks', () => {
        let company, token;
        before(async () => {
            company = await shared.stack.addCompany('Behind a proxy');
            token = shared.stack.token({ company });
        });

        test('test_emulation_when_it_reaches_any_process_then_answered_on_the_stream', async () => {
            const stream = await Stream.open(shared.stack, token);
            assert.equal(stream.response.headers.get('content-type'), 'application/json');
            assert.equal(stream.response.headers.get('cache-control'), 'no-store');
            const { connect: { session, node } } = await stream.heard(({ id }) => id === 1);
            for (let id = 2; id < 22; id++) {
                const answer = await emulate({ session, node, data: JSON.stringify({ id, rpc: { method: 'GET /v1/projects' } }) });
                assert.equal(answer.status, 204);
            }
            for (let id = 2; id < 22; id++) assert.equal((await stream.heard((line) => line.id === id)).rpc.data.status, 200);
            stream.abort.abort();
        });

        test('test_emulation_when_it_has_not_the_secret_then_nobody_hears_it', async () => {
            const stream = await Stream.open(shared.stack, token);
            const { connect: { session, node } } = await stream.heard(({ id }) => id === 1);
            const data = JSON.stringify({ id: 2, rpc: { method: 'GET /v1/projects' } });
            // Some of them reach the process that does not have the stream.
            for (let i = 0; i < 8; i++) assert.equal((await emulate({ session: randomUUID(), node, data })).status, 404);
            assert.equal((await emulate({ session, node: randomUUID(), data })).status, 404);
            for (const wrong of [{ session, node }, { session: 1, node, data }, { session, node: 'x', data }, { session, node, data: {} }, []])
                assert.equal((await emulate(wrong)).status, 400, JSON.stringify(wrong));
            assert.equal((await emulate({ session, node, data: 'x'.repeat(70_000) })).status, 413);
            await emulate({ session, node, data: JSON.stringify({ id: 3, rpc: { method: 'GET /v1/projects' } }) });
            await stream.heard(({ id }) => id === 3);
            assert.ok(!stream.lines.some(({ id }) => id === 2));
            stream.abort.abort();
        });

        test('test_emulation_when_an_address_shows_too_many_wrong_secrets_then_429_but_for_who_is_known', async () => {
            const other = await shared.stack.addGateway({ CORTEX_ADDRESS_FAILURES: '1' });
            const stream = await Stream.open(shared.stack, token);
            const { connect: { session, node } } = await stream.heard(({ id }) => id === 1);
            const agent = newAgent(1);
            const say = async (body, options = {}) => (await send(`${other.url}/emulation`, { method: 'POST', body, ...options })).status;
            const data = (id) => JSON.stringify({ id, rpc: { method: 'GET /v1/projects' } });
            assert.equal(await say({ session, node, data: data(2) }, { agent }), 204); // the stream is in another gateway
            const statuses = [];
            while (statuses.at(-1) !== 429 && statuses.length < 100) statuses.push(await say({ session: randomUUID(), node, data: data(3) }));
            assert.deepEqual([...new Set(statuses)], [404, 429]);
            assert.equal(await say({ session, node, data: data(4) }, { agent }), 204);
            for (const id of [2, 4]) assert.equal((await stream.heard((line) => line.id === id)).rpc.data.status, 200);
            agent.destroy();
            stream.abort.abort();
            await other.program.stop();
        });

        // As when the connection to the broker breaks before the broker has confirmed what one process sent the other.
        test('test_emulation_when_it_comes_from_another_process_twice_then_heard_once', async () => {
            const of = await shared.stack.addCompany('Heard once');
            const stream = await Stream.open(shared.stack, shared.stack.token({ company: of }));
            const { connect: { session, node } } = await stream.heard(({ id }) => id === 1);
            const connection = await amqp.connect(shared.stack.amqpUrl);
            const channel = await connection.createChannel();
            const { queue } = await channel.assertQueue('', { exclusive: true }), key = `reply.${randomUUID()}`;
            await channel.bindQueue(queue, 'events', key);
            const statuses = [];
            await channel.consume(queue, ({ properties }) => statuses.push(properties.headers.status), { noAck: true });
            const create = (id) => JSON.stringify({ id, rpc: { method: 'POST /v1/projects', data: { body: { name: 'Once' } } } });
            const ask = (number, id, { data = create(id), replyTo = key } = {}) => channel.publish('events', `reply.${node}`,
                Buffer.concat([Buffer.from(session.replaceAll('-', ''), 'hex'), number, Buffer.from(data)]),
                { type: 'emulation', correlationId: `${id}`, replyTo });
            const read = JSON.stringify({ id: 9, rpc: { method: 'GET /v1/projects' } });
            for (const replyTo of [queue, 'gateways.slots', 'reply.', '']) ask(randomBytes(8), 9, { data: read, replyTo }); // nobody whom we answer
            const first = randomBytes(8), second = randomBytes(8);
            for (const [number, id] of [[first, 2], [first, 2], [second, 3]]) ask(number, id);
            for (const id of [2, 3]) assert.equal((await stream.heard((line) => line.id === id)).rpc.data.status, 201);
            await until(() => statuses.length === 3);
            assert.deepEqual(statuses, ['ok', 'ok', 'ok']);
            assert.equal((await shared.stack.client({ company: of }).get('/v1/projects')).body.data.length, 2);
            await connection.close();
            stream.abort.abort();
        });

        test('test_stream_when_its_token_is_revoked_or_wrong_then_told_in_a_push', async () => {
            const wrong = await Stream.open(shared.stack, 'rubbish');
            assert.equal((await wrong.heard(({ push }) => push)).push.disconnect.code, 3500);
            await until(() => wrong.ended);
            const user = randomUUID();
            const stream = await Stream.open(shared.stack, shared.stack.token({ company, user, iat: Math.floor(Date.now() / 1000) - 10 }));
            await stream.heard(({ id }) => id === 1);
            const admin = shared.stack.client({ company });
            assert.equal((await admin.post('/v1/admin/revocations', { user_id: user })).status, 201);
            assert.equal((await stream.heard(({ push }) => push)).push.disconnect.code, 3500);
            await until(() => stream.ended);
        });

        test('test_fallbacks_when_from_a_page_of_another_origin_then_403_and_of_an_allowed_one_readable', async () => {
            const foreign = { Origin: 'https://elsewhere.example' }, allowed = { Origin: 'https://app.example' };
            assert.equal((await Stream.open(shared.stack, token, foreign)).response.status, 403);
            assert.equal((await emulate({ session: randomUUID(), node: randomUUID(), data: '{}' }, foreign)).status, 403);
            assert.equal((await fetch(`${shared.stack.url}/connection/sse?cf_connect=%7B%7D`, { headers: foreign })).status, 403);
            const stream = await Stream.open(shared.stack, token, allowed);
            assert.equal(stream.response.headers.get('access-control-allow-origin'), 'https://app.example');
            stream.abort.abort();
            const preflight = await fetch(`${shared.stack.url}/emulation`, { method: 'OPTIONS', headers: { ...allowed, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' } });
            assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example');
        });

        for (const kind of ['http_stream', 'http_stream in Protobuf', 'sse'])
            test(`test_recover_when_${kind.replaceAll(' ', '_')}_is_cut_off_then_nothing_is_missed_or_repeated`, async () => {
                use(kind);
                const user = randomUUID();
                const of = await shared.stack.addCompany(`Cut off ${kind}`);
                const client = newCentrifuge(shared.stack, { token: shared.stack.token({ company: of, user }) });
                const subscription = client.newSubscription(`company:${of}`);
                const offsets = [];
                let recovered = 0;
                subscription.on('publication', ({ offset }) => offsets.push(offset));
                subscription.on('subscribed', (context) => { recovered += context.recovered ? 1 : 0; });
                subscription.subscribe();
                client.connect();
                await subscription.ready(10_000);
                const api = shared.stack.client({ company: of });
                for (let i = 1; i <= 3; i++) {
                    breakOff(client);
                    await newProject(api);
                    await newProject(api);
                    await until(() => offsets.length >= 2 * i, 10_000, 'the missed events');
                }
                assert.deepEqual(offsets, [1, 2, 3, 4, 5, 6]);
                assert.ok(recovered > 0);
                client.disconnect();
            });
    });
}
