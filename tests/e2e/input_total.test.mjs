// What clients send and do not finish is bounded in sum (CORTEX_INPUT_TOTAL): heads, bodies, WebSocket messages in one frame or in fragments,
// and requests that wait for their answers. Thousands of connections fill it, and a client that does finish is served all the same.
//
// The same clients may leave unread what they are answered: that is bounded in the process (CORTEX_OUTPUT_TOTAL) and, socket by socket, in the
// kernel, whose buffers would grow to tcp_rmem and tcp_wmem for each of them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { expectStatus } from './api/expect.mjs';
import { Logged, sleep, until } from '../lib/process.mjs';
import { size, within } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const CONNECTIONS = size(20_000), KIB = 1024, MIB = 1024 * KIB;
const TOTAL = 16 * MIB, OUTPUT_TOTAL = 32 * MIB;
// Of a socket whose client has shown no token: the receive and the send buffer, each twice what was asked for (socket(7)).
const UNREAD_MOST = 2 * 16 * KIB, UNACKED_MOST = 2 * 32 * KIB;
// The program, the connections, and what the build for tests adds to each allocation.
const BESIDES = 192 * MIB + CONNECTIONS * 16 * KIB;

let stack, log;
before(async () => {
    stack = await startStack('input_total', {
        gateway: {
            CORTEX_GATEWAY_PROCESSES: '1', CORTEX_INPUT_TOTAL: `${TOTAL}`, CORTEX_MAX_CONNECTIONS: '40000', CORTEX_ADDRESS_SHARE: '100',
            CORTEX_OUTPUT_TOTAL: `${OUTPUT_TOTAL}`, CORTEX_WRITE_TIMEOUT_MS: '600000',
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

// What the kernel holds for the gateway's connections: [{ unread, unreadMost, unacked, unackedMost }], in bytes of its memory.
async function heldByKernel() {
    const { stdout } = await promisify(execFile)('ss', ['-tmnH', 'state', 'established', `sport = :${stack.address.split(':')[1]}`], { maxBuffer: 64 * MIB });
    return [...stdout.matchAll(/skmem:\(r(\d+),rb(\d+),t(\d+),tb(\d+),f\d+,w(\d+)/g)].map(([, unread, unreadMost, , unackedMost, unacked]) =>
        ({ unread: Number(unread), unreadMost: Number(unreadMost), unacked: Number(unacked), unackedMost: Number(unackedMost) }));
}
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

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

    test('test_answers_when_unread_on_many_connections_then_bounded_in_the_process_and_in_the_kernel', async (t) => {
        const [host, port] = stack.address.split(':');
        const requests = Buffer.from('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(10_000));
        const sockets = [];
        for (let i = 0; i < CONNECTIONS; i++) {
            const socket = connect(Number(port), host).on('error', () => {});
            socket.pause().write(requests); // and nothing is ever read
            sockets.push(socket);
            if (i % 50 === 49) await sleep(1);
        }
        let held = [];
        await until(async () => {
            const all = await heldByKernel(); // of those that have not been ended for their output
            held = all.filter(({ unacked }) => unacked > 0);
            return held.length >= CONNECTIONS / 20 && held.length >= all.length * 0.9;
        }, within(120_000), 'answers to wait');
        expectStatus(await stack.client().post('/v1/projects', { name: 'Beside answers' }), 201);
        const rss = memory();
        const kernel = sum(held.map(({ unread, unacked }) => unread + unacked));
        t.diagnostic(`${held.length} of ${CONNECTIONS} connections are left that read nothing of what they asked for; the process has ` +
            `${Math.round(rss / MIB)} MiB, the kernel ${Math.round(kernel / MIB)} MiB for them, ${Math.round(kernel / held.length / KIB)} KiB each`);
        assert.ok(rss < TOTAL + OUTPUT_TOTAL + BESIDES, `${rss}`);
        for (const { unreadMost, unackedMost } of held) {
            assert.ok(unreadMost <= UNREAD_MOST, `${unreadMost} for what is not read`);
            assert.ok(unackedMost <= UNACKED_MOST, `${unackedMost} for what is not taken`);
        }
        for (const socket of sockets) socket.destroy();
    });

    test('test_strangers_when_they_fill_it_then_clients_with_a_token_finish', async (t) => {
        const known = await fill(body(KIB), 50);
        await sleep(200);
        await isBoundedDuring('strangers', t, head(15 * KIB));
        assert.ok(known.every(({ closed }) => !closed), 'those with a token stay');
        for (const { socket } of known) socket.destroy();
    });
});
