// ./cortex schedules: thin over the admin API.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { root } from '../../lib/servers.mjs';

export function cli(shared) {
    // What `./cortex up` leaves for the other commands to find.
    function stateOf({ stack }) {
        const folder = mkdtempSync(join(tmpdir(), 'cortex-cli-'));
        mkdirSync(join(folder, 'secrets'));
        copyFileSync(stack.keyFile, join(folder, 'secrets', 'token_key'));
        writeFileSync(join(folder, 'secrets', 'gateway.conf'), `CORTEX_LISTEN=${stack.address}\n`);
        return folder;
    }

    async function cortex(folder, ...args) {
        const env = { ...process.env, CORTEX_STATE: folder, CORTEX_SERVICE_USER: process.env.USER ?? 'root' };
        return new Promise((resolve) => {
            execFile(join(root, 'cortex'), ['schedules', ...args], { env }, (error, stdout, stderr) => resolve({ status: error?.code ?? 0, stdout, stderr }));
        });
    }

    describe('cortex schedules', () => {
        test('test_command_line_then_a_schedule_is_made_listed_shown_run_and_dropped', async () => {
            const folder = stateOf(shared);
            const run = async (...args) => {
                const { status, stdout, stderr } = await cortex(folder, ...args);
                assert.equal(status, 0, stderr);
                return stdout;
            };
            try {
                await run('put', 'by-hand', '{"cron": "@yearly", "type": "inbox.retention"}');
                const listed = (await run()).trim().split('\n').flatMap((line) => JSON.parse(line).data);
                assert.equal(listed.find((schedule) => schedule.name === 'by-hand').cron, '@yearly');
                assert.equal(JSON.parse(await run('show', 'by-hand')).timezone, 'UTC');
                await run('run', 'by-hand');
                await run('drop', 'by-hand');
                const gone = await cortex(folder, 'show', 'by-hand');
                assert.notEqual(gone.status, 0);
                assert.match(gone.stderr, /not-found/);
                const wrong = await cortex(folder, 'put', 'by-hand', '{"cron": "61 * * * *", "type": "inbox.retention"}');
                assert.notEqual(wrong.status, 0);
                assert.match(wrong.stderr, /61 is not within 0 to 59/);
                assert.notEqual((await cortex(folder, 'drop', '../../x')).status, 0);
            } finally {
                rmSync(folder, { recursive: true });
            }
        });
    });
}
