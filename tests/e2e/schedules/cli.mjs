// ./cortex schedules, a thin layer over the admin API.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CommandLine } from '../../lib/cli.mjs';

export function cli(shared) {
    describe('cortex schedules', () => {
        test('test_command_line_then_a_schedule_is_made_listed_shown_run_and_dropped', async () => {
            const cortex = new CommandLine(shared.stack);
            try {
                await cortex.run('schedules', 'put', 'by-hand', '{"cron": "@yearly", "type": "inbox.retention"}');
                const listed = await cortex.list('schedules');
                assert.equal(listed.find((schedule) => schedule.name === 'by-hand').cron, '@yearly');
                assert.equal(JSON.parse(await cortex.run('schedules', 'show', 'by-hand')).timezone, 'UTC');
                await cortex.run('schedules', 'run', 'by-hand');
                await cortex.run('schedules', 'drop', 'by-hand');
                const gone = await cortex.try('schedules', 'show', 'by-hand');
                assert.notEqual(gone.status, 0);
                assert.match(gone.stderr, /not-found/);
                assert.doesNotMatch(gone.stderr, /unexpected failure/);
                const wrong = await cortex.try('schedules', 'put', 'by-hand', '{"cron": "61 * * * *", "type": "inbox.retention"}');
                assert.notEqual(wrong.status, 0);
                assert.match(wrong.stderr, /61 is not within 0 to 59/);
                assert.notEqual((await cortex.try('schedules', 'drop', '../../x')).status, 0);
            } finally {
                cortex.close();
            }
        });
    });
}
