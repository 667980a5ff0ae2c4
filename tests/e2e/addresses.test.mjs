// What network addresses may do: silent connections, of however many addresses, keep nobody out; those with a token give way to addresses
// that have fewer, idle ones first; health is answered while the table is full of clients with a token; wrong tokens are not verified
// without end. What was refused is logged, sampled, and never with the token.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID, sign as signature } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';

import { expectProblem, expectStatus } from './api/expect.mjs';
import { closeAll, Speaker } from './realtime/clients.mjs';
import { client as clientOf } from '../lib/http.mjs';
import { Logged, sleep, until } from '../lib/process.mjs';
import { size } from '../lib/size.mjs';
import { state } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';
import { claimsOf } from '../lib/token.mjs';

const TABLE = 100, FAILURES_PER_S = 20, AT_ONCE = 5 * FAILURES_PER_S;
const keys = generateKeyPairSync('ed25519');

let stack, log;
before(async () => {
    const file = join(state, `addresses_${process.pid}.pem`);
    const settings = {
        CORTEX_GATEWAY_PROCESSES: '1', CORTEX_MAX_CONNECTIONS: `${TABLE}`, CORTEX_ADDRESS_FAILURES: `${FAILURES_PER_S}`,
        CORTEX_AUTH_EDDSA_FILE: file,
    };
    stack = await startStack('addresses', { gateway: {}, worker: {} });
    writeFileSync(file, keys.publicKey.export({ type: 'spki', format: 'pem' }));
    await stack.gateway.stop();
    Object.assign(stack.gateway.settings, settings);
    await stack.gateway.start();
    log = new Logged(stack.gateway, 'auth.refused');
});
after(async () => {
    log?.close();
    await stack?.stop();
});

const address = () => stack.address.split(':');

// A request from another address of this host. → status
function get(path, localAddress, headers = {}) {
    const [host, port] = address();
    return new Promise((resolve, reject) => {
        const asked = request({ host, port, path, localAddress, headers, agent: false, timeout: 10_000 }, (answer) => {
            answer.resume();
            answer.on('end', () => resolve(answer.statusCode));
        });
        asked.on('error', reject);
        asked.on('timeout', () => asked.destroy(new Error('no answer')));
        asked.end();
    });
}

const authorization = () => bearer(stack.token({ company: stack.company }));

// A connection that stays silent, or sends `text` and reads the answer; and then holds on.
const held = new Set();
function holdOne(localAddress, text = '') {
    const [host, port] = address();
    const socket = connect({ port: Number(port), host, localAddress }).on('error', () => {}).on('close', () => held.delete(socket));
    held.add(socket);
    socket.heard = new Promise((resolve) => socket.once(text ? 'data' : 'connect', resolve).once('close', resolve));
    if (text) socket.write(text);
    return socket;
}
async function hold(count, localAddress, text) {
    const sockets = Array.from({ length: count }, () => holdOne(localAddress, text));
    await Promise.all(sockets.map(({ heard }) => heard));
    return sockets;
}

// Silent connections that come again whenever they are closed, until stop is called.
function besiege(count, addresses) {
    const sockets = new Set();
    let isOver = false, closed = 0;
    const begin = (localAddress) => {
        if (isOver) return;
        const socket = holdOne(localAddress);
        sockets.add(socket);
        socket.resume().on('close', () => {
            sockets.delete(socket);
            closed++;
            setTimeout(begin, 1000, localAddress);
        });
    };
    for (const localAddress of addresses) for (let i = 0; i < count; i++) begin(localAddress);
    return {
        get closed() { return closed; },
        stop() {
            isOver = true;
            for (const socket of sockets) socket.destroy();
        },
    };
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
// Ed25519 by `key`; the gateway knows only ours.
function tokenBy(key) {
    const text = `${encode({ alg: 'EdDSA', typ: 'JWT' })}.${encode(claimsOf({ company: stack.company, jti: randomUUID() }))}`;
    return `${text}.${signature(null, Buffer.from(text), key).toString('base64url')}`;
}
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const knownHead = () => `GET /v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization().authorization}\r\n\r\n`;

describe('addresses', () => {
    afterEach(() => held.forEach((socket) => socket.destroy()));

    test('test_connections_when_one_address_is_silent_then_others_are_served', async () => {
        const silent = await hold(3 * TABLE, '127.0.0.1');
        for (let i = 0; i < 5; i++) assert.equal(await get('/v1/projects', '127.0.0.2', authorization()), 200);
        for (let i = 0; i < 5; i++) assert.equal(await get('/readyz', '127.0.0.1'), 200);
        assert.equal(await get('/v1/projects', '127.0.0.1', authorization()), 200, 'a silent one makes room');
    });

    test('test_connections_when_many_addresses_are_silent_then_new_ones_and_those_with_a_token_are_served', async (t) => {
        const many = Array.from({ length: size(50) }, (_, i) => `127.0.1.${i + 1}`);
        const known = await hold(5, '127.0.0.9', knownHead());
        const lost = [];
        for (const socket of known) socket.on('close', () => lost.push(socket));
        const siege = besiege(3 * TABLE, many);
        try {
            await until(() => siege.closed > many.length * TABLE, 30_000, 'the table to be full');
            const times = [];
            const isAnswered = async (...request) => {
                const begun = performance.now();
                assert.equal(await get(...request), 200);
                times.push(performance.now() - begun);
            };
            for (let i = 0; i < 10; i++) {
                await isAnswered('/readyz', '127.0.0.2');
                await isAnswered('/healthz', '127.0.0.2');
                await isAnswered('/v1/projects', '127.0.0.2', authorization());
                await sleep(100);
            }
            t.diagnostic(`${many.length} addresses; at most ${Math.round(Math.max(...times))} ms; ${siege.closed} were closed`);
            assert.equal(lost.length, 0, 'connections of clients with a token stay');
        } finally {
            siege.stop();
        }
    });

    const isRoomAgain = () => until(async () => (await get('/openapi.json', '127.0.0.2')) === 200, 10_000, 'room');
    const isOpen = (socket) => !socket.closed && !socket.readableEnded;

    test('test_connections_when_two_addresses_with_tokens_fill_the_table_then_others_get_their_part', async (t) => {
        await isRoomAgain();
        const events = `GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: ${authorization().authorization}\r\n\r\n`;
        const streams = [await hold(TABLE / 4, '127.0.0.3', events), await hold(TABLE / 4, '127.0.0.4', events)].flat();
        const idle = [await hold(TABLE / 4, '127.0.0.3', knownHead()), await hold(TABLE / 4, '127.0.0.4', knownHead())].flat();
        for (const socket of [...streams, ...idle]) socket.resume();
        const left = (sockets) => sockets.filter(isOpen).length;
        assert.ok(left([...streams, ...idle]) >= TABLE - 5, 'the table is full');
        const few = Array.from({ length: 10 }, (_, i) => `127.0.3.${i + 1}`), others = [];
        for (const localAddress of few) {
            assert.equal(await get('/v1/projects', localAddress, authorization()), 200);
            assert.equal(await get('/readyz', localAddress), 200);
            others.push(await hold(2, localAddress, knownHead()));
        }
        t.diagnostic(`left: ${left(streams)} of ${streams.length} streams, ${left(idle)} of ${idle.length} that are idle`);
        assert.equal(left(others.flat()), 2 * few.length, 'nobody who has few gives way');
        assert.equal(left(streams), streams.length, 'those that are idle give way first');
        // One after the other: of many strangers that come at once those that have not shown their token yet give way first.
        for (let i = 0; i < 0.8 * TABLE && left(streams) === streams.length; i++) await hold(1, `127.0.0.${5 + i % 2}`, knownHead());
        assert.ok(left(streams) < streams.length, 'streams give way when nothing of their address is idle');
        assert.equal(left(idle), 0);
        assert.equal(left(others.flat()), 2 * few.length);
    });

    test('test_sockets_when_one_address_fills_the_table_with_them_then_the_youngest_are_told_to_come_again', async () => {
        await isRoomAgain();
        const options = { localAddress: '127.0.0.3' }, codes = [];
        try {
            for (let i = 0; i < TABLE / 2; i++) (await Speaker.connected(stack, {}, { options })).closed.then(({ code }) => codes.push(code));
            const many = Array.from({ length: TABLE / 2 + 10 }, (_, i) => `127.0.4.${i + 1}`);
            for (const localAddress of many) await hold(1, localAddress, knownHead());
            assert.equal(await get('/v1/projects', '127.0.0.2', authorization()), 200);
            await until(() => codes.length >= 10, 10_000, 'some to be closed');
            assert.ok(codes.length <= 15 && codes.every((code) => code === 3001), `${codes}`);
        } finally {
            closeAll();
        }
    });

    test('test_connections_when_an_address_has_its_share_with_tokens_then_a_new_one_of_it_ends_an_idle_one', async () => {
        await isRoomAgain();
        const ones = await hold(TABLE / 2, '127.0.0.3', knownHead());
        for (const socket of ones) socket.resume();
        for (let i = 0; i < 3; i++) assert.equal(await get('/v1/projects', '127.0.0.3', authorization()), 200);
        await until(() => ones.filter(isOpen).length < ones.length, 10_000, 'one to end');
    });

    test('test_health_when_the_table_is_full_of_clients_with_a_token_then_answered_at_once_and_all_else_503', async (t) => {
        await isRoomAgain();
        const many = Array.from({ length: TABLE }, (_, i) => `127.0.2.${i + 1}`);
        for (const localAddress of many) await hold(1, localAddress, knownHead());
        const begun = performance.now();
        for (let i = 0; i < 20; i++) {
            assert.equal(await get('/readyz', '127.0.0.2'), 200);
            assert.equal(await get('/healthz', '127.0.0.2'), 200);
        }
        t.diagnostic(`20 of each took ${Math.round(performance.now() - begun)} ms`);
        assert.equal(await get('/openapi.json', '127.0.0.2'), 503);
        assert.equal(await get('/v1/projects', '127.0.0.2', authorization()), 503);
    });

    test('test_tokens_when_many_of_an_address_are_wrong_then_429_logged_and_those_that_are_remembered_work', async (t) => {
        const stranger = generateKeyPairSync('ed25519').privateKey;
        const good = tokenBy(keys.privateKey);
        const api = (token) => clientOf(stack.url, token);
        const remembered = api(good);
        await until(async () => (await remembered.get('/v1/projects')).status === 200, 20_000, 'room: connections of before to be gone');
        const wrong = Array.from({ length: 3 * AT_ONCE }, () => tokenBy(stranger));
        const answers = [];
        for (const token of wrong) answers.push(await api(token).get('/v1/projects'));
        const of = (status) => answers.filter((answer) => answer.status === status);
        assert.ok(of(401).length >= AT_ONCE && of(429).length > 0, `${of(401).length} × 401, ${of(429).length} × 429`);
        expectProblem(of(429)[0], 429, 'too-many-requests');
        assert.ok(Number(of(429)[0].headers['retry-after']) >= 1);
        expectStatus(await remembered.get('/v1/projects'), 200);
        assert.equal(await get('/v1/projects', '127.0.0.2', bearer(tokenBy(keys.privateKey))), 200, 'another address');
        await until(async () => (await api(tokenBy(keys.privateKey)).get('/v1/projects')).status === 200, 20_000, 'some to be repaid');
        const lines = log.of('auth.refused');
        t.diagnostic(`${of(401).length} × 401, ${of(429).length} × 429, ${lines.length} lines`);
        assert.ok(lines.length >= 1 && lines.length <= 5, `${lines.length} lines`);
        assert.ok(lines.every(({ peer, why, count }) => peer === '127.0.0.1' && /signature/.test(why) && count >= 1), JSON.stringify(lines));
        const text = readFileSync(stack.gateway.log, 'utf8');
        assert.ok(wrong.every((token) => !text.includes(token.split('.')[2])), 'no token in the log');
    });
});
