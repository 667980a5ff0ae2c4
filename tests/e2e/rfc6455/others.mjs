// Two more clients that others wrote: their handshakes and their framing, as they come. Debian's packages are for Debian's python3.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));

export function others(shared) {
    describe('clients that others wrote', () => {
        for (const [name, expected] of [['websockets', ['open', 'connected', 'pong', 'fragments', '1000']], ['autobahn', ['open', 'connected', 'pong', '1000']]])
            test(`test_python_${name}_when_it_connects_pings_and_closes_then_understood`, async () => {
                const { stdout } = await run('/usr/bin/python3', [join(here, `${name}_client.py`), `ws://${shared.stack.address}/connection/websocket`, shared.stack.token()], { timeout: 30_000 });
                assert.deepEqual(stdout.trim().split('\n'), expected);
            });
    });
}
