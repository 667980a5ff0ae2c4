// What clients send and do not finish is bounded in sum (CORTEX_INPUT_TOTAL): heads, bodies, WebSocket messages in one frame or in fragments,
// and requests that wait for their answers. Thousands of connections fill it, and a client that does finish is served all the same.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';

import { expectStatus } from './api/expect.mjs';
import { Logged, sleep, until } from '../lib/process.mjs';
import { size } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const CONNECTIONS = size(20_000), KIB = 1024, MIB = 1024 * KIB;
const TOTAL = 16 * MIB;
// The program, the connections, and what the build for tests adds to each allocation.
const BESIDES = 192 * MIB + CONNECTIONS * 16 * KIB;

let stack, log;
before(async () => {
    stack = await startStack('input_total', {
        gateway: {
            CORTEX_GATEWAY_PROCESSES: '1', CORTEX_INPUT_TOTAL: `${TOTAL}`, CORTEX_MAX_CONNECTIONS: '40000', CORTEX_ADDRESS_SHARE: '100',
            CORTEX_BODY_TIMEOUT_MS: '600000', CORTEX_HEAD_TIMEOUT_MS: '600000',
            ASAN_OPTIONS: 'exitcode=99:quarantine_size_mb=1', // or freed memory would count
        },
    });
    log = new Logged(stack.gateway, 'conn.input_bounded');
});
after(async () => {
    log?.close();
    await stack?.stop();
});

const child = () => {
    const { pid } = stack.gateway.child;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
};
const memory = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child()}/status`, 'utf8'))[1]) * KIB;

// A connection that sends `bytes` and nothing more. What it hears is kept.
function send(bytes) {
    const [host, port] = stack.address.split(':');
    const client = { text: '', closed: false, socket: connect(Number(port), host) };
    client.socket.on('error', () => {});
    client.socket.on('data', (part) => (client.text += part.toString('latin1')));
    client.socket.on('close', () => (client.closed = true));
    client.socket.write(bytes);
    return client;
}

async function fill(bytes, count = CONNECTIONS) {
    const clients = [];
    for (let i = 0; i < count; i++) {
        clients.push(send(bytes));
        if (i % 50 === 49) await sleep(1);
    }
    return clients;
}

const authorization = () => `Host: x\r\nAuthorization: Bearer ${stack.token({ company: stack.company, role: 'project_manager' })}\r\n`;
const body = (octets) => Buffer.concat([
    Buffer.from(`POST /v1/projects HTTP/1.1\r\n${authorization()}Content-Type: application/json\r\nContent-Length: ${octets + 1}\r\n\r\n`),
    Buffer.alloc(octets, 0x20)]);
const head = (octets) => Buffer.from(`GET /v1/projects HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(octets)}`);
const upgrade = 'GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;

// The first `octets` of a masked text frame that would have one more; not the last of its message when `fragments`.
function frame(octets, { fragments = false, opcode = 1, whole = false } = {}) {
    const head = Buffer.alloc(14);
    const length = octets + (whole ? 0 : 1);
    head[0] = (fragments ? 0 : 0x80) | opcode;
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
    if (length < 65536) {
        head[1] = 0x80 | 126;
        head.writeUInt16BE(length, 2);
        return Buffer.concat([head.subarray(0, 4), Buffer.alloc(4), Buffer.alloc(octets, 0x20)]);
    }
    return Buffer.concat([head, Buffer.alloc(octets, 0x20)]);
}

async function isBoundedDuring(name, t, bytes, count = CONNECTIONS) {
    const before = log.of('conn.input_bounded').length;
    const clients = await fill(bytes, count);
    const wouldBe = bytes.length * count;
    await until(() => log.of('conn.input_bounded').length > before, 30_000, `${name} to be bounded`);
    // One that finishes is served, however many do not.
    expectStatus(await stack.client().post('/v1/projects', { name: `Beside ${name}` }), 201);
    await until(() => clients.filter(({ closed }) => closed).length > 0, 30_000, 'somebody to be closed');
    const rows = log.of('conn.input_bounded');
    assert.ok(rows.every(({ bytes: held, bound }) => held <= bound));
    const rss = memory();
    t.diagnostic(`${name}: ${count} connections sent ${Math.round(wouldBe / MIB)} MiB; ${clients.filter(({ closed }) => closed).length} were closed, ` +
        `the process has ${Math.round(rss / MIB)} MiB`);
    assert.ok(rss < TOTAL + BESIDES, `${rss}`);
    for (const { socket } of clients) socket.destroy();
    return clients;
}

describe('input total', () => {
    test('test_bodies_when_unfinished_on_many_connections_then_bounded_in_sum_and_503', async (t) => {
        const clients = await isBoundedDuring('bodies', t, body(64 * KIB));
        assert.ok(clients.some(({ text }) => /^HTTP\/1\.1 503 [^]*problems\/input-full/.test(text)), 'a problem document');
    });

    test('test_heads_when_unfinished_on_many_connections_then_bounded_in_sum', async (t) => {
        await isBoundedDuring('heads', t, head(15 * KIB));
    });

    test('test_messages_when_unfinished_on_many_web_sockets_then_bounded_in_sum', async (t) => {
        const command = Buffer.from(JSON.stringify({ id: 1, connect: { token: stack.token({ company: stack.company }) } }));
        const connected = Buffer.concat([frame(0, { whole: true }).subarray(0, 2 + 2), Buffer.alloc(4), command]);
        connected.writeUInt16BE(command.length, 2);
        await isBoundedDuring('one frame', t, Buffer.concat([Buffer.from(upgrade), connected, frame(60 * KIB)]));
        const fragment = (opcode) => frame(20 * KIB, { fragments: true, opcode, whole: true });
        await isBoundedDuring('fragments', t, Buffer.concat([Buffer.from(upgrade), connected, fragment(1), fragment(0), fragment(0)]));
    });

    test('test_message_when_the_client_has_not_connected_then_a_small_bound_of_its_own', async () => {
        const client = send(Buffer.concat([Buffer.from(upgrade), frame(20 * KIB)]));
        await until(() => client.closed, 10_000, 'it to be closed');
        assert.ok(client.text.includes('\x03\xf1message too big'), client.text); // 1009
    });

    test('test_strangers_when_they_fill_it_then_clients_with_a_token_finish', async (t) => {
        const known = await fill(body(KIB), 50);
        await sleep(200);
        await isBoundedDuring('strangers', t, head(15 * KIB));
        assert.ok(known.every(({ closed }) => !closed), 'those with a token stay');
        for (const { socket } of known) socket.destroy();
    });
});
