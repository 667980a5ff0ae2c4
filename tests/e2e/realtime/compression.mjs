import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { newProject } from '../api/expect.mjs';
import { endpoint, Speaker } from './clients.mjs';

const DESCRIPTION = 'Concrete for the north pier, delivery moved to Thursday; '.repeat(60);
const MESSAGE_MAX = 4096; // CORTEX_WS_MAX_MESSAGE here

// Debian's python3-websockets: asks for a window of 12 bits both ways, and compresses what it says.
const PYTHON = `
import asyncio, json, sys, websockets
async def main(url, token, channel):
    async with websockets.connect(url, compression="deflate") as socket:
        await socket.send(json.dumps({"id": 1, "connect": {"token": token, "data": "x" * 900}}))
        await socket.send(json.dumps({"id": 2, "subscribe": {"channel": channel}}))
        headers = socket.response.headers if hasattr(socket, "response") else socket.response_headers # since 14 | before
        print("Sec-WebSocket-Extensions" in headers, flush=True)
        while True:
            for line in (await socket.recv()).split("\\n"):
                message = json.loads(line)
                if message == {}: await socket.send("{}")
                elif "subscribe" in message: print("subscribed", flush=True)
                elif "push" in message: return print(message["push"]["pub"]["data"]["data"]["description"])
asyncio.run(main(*sys.argv[1:]))
`;

export function compression(shared) {
    describe('permessage-deflate', () => {
        const subscribed = async (perMessageDeflate) => {
            const company = await shared.stack.addCompany('Compressed');
            const speaker = await Speaker.connected(shared.stack, { company }, { options: { perMessageDeflate } });
            await speaker.ask({ id: 2, subscribe: { channel: `company:${company}` } });
            return { speaker, api: shared.stack.client({ company }) };
        };
        const octetsOfAnEvent = async ({ speaker, api }) => {
            const before = speaker.socket._socket.bytesRead;
            await newProject(api, { description: DESCRIPTION });
            const { push } = await speaker.next();
            assert.equal(push.pub.data.data.description, DESCRIPTION);
            const octets = speaker.socket._socket.bytesRead - before;
            await speaker.close();
            return octets;
        };

        test('test_event_when_the_client_negotiated_it_then_compressed_and_else_not', async () => {
            const [plain, compressed] = [await subscribed(false), await subscribed({ threshold: 0 })];
            assert.equal(plain.speaker.socket.extensions, '');
            assert.equal(compressed.speaker.socket.extensions, 'permessage-deflate');
            assert.ok((await octetsOfAnEvent(plain)) > DESCRIPTION.length);
            assert.ok((await octetsOfAnEvent(compressed)) < DESCRIPTION.length / 2);
        });

        test('test_event_when_the_client_asks_for_a_small_window_then_it_can_read_it', async () => {
            const small = await subscribed({ threshold: 0, serverMaxWindowBits: 12, clientMaxWindowBits: 9, serverNoContextTakeover: true });
            assert.ok((await octetsOfAnEvent(small)) < DESCRIPTION.length / 2);
        });

        test('test_upgrade_when_it_asks_for_what_we_cannot_keep_to_then_not_compressed', async () => {
            const speaker = await Speaker.open(shared.stack, { options: { perMessageDeflate: { serverMaxWindowBits: 9 } } });
            assert.equal(speaker.socket.extensions, '');
            await speaker.close();
        });

        test('test_message_when_it_would_grow_past_the_limit_then_1009', async () => {
            const speaker = await Speaker.connected(shared.stack, {}, { options: { perMessageDeflate: { threshold: 0 } } });
            speaker.socket.send('x'.repeat(64 * 1024 * 1024)); // 64 KB on the wire
            assert.equal((await speaker.closed).code, 1009);
            const within = await Speaker.connected(shared.stack, {}, { options: { perMessageDeflate: { threshold: 0 } } });
            const command = JSON.stringify({ id: 2, ping: {} });
            within.socket.send(command + ' '.repeat(MESSAGE_MAX + 1 - command.length));
            assert.equal((await within.closed).code, 1009);
        });

        test('test_event_when_the_client_is_pythons_websockets_then_it_reads_it', async () => {
            const company = await shared.stack.addCompany('Python');
            const python = promisify(execFile)('/usr/bin/python3', ['-c', PYTHON, endpoint(shared.stack), shared.stack.token({ company }), `company:${company}`], { timeout: 60000 });
            const listening = new Promise((resolve) => python.child.stdout.on('data', (text) => text.includes('subscribed') && resolve()));
            await Promise.race([listening, python]);
            await newProject(shared.stack.client({ company }), { description: DESCRIPTION });
            const { stdout } = await python;
            assert.deepEqual(stdout.trim().split('\n'), ['True', 'subscribed', DESCRIPTION.trim()]);
        });
    });
}
