// What ./cortex status says when something is wrong that no process can mend.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';

export default function statusTests(shared) {
    describe('./cortex status', () => {
        const status = () => shared.checkout.cortex('status');
        const watermark = (part) => execFileSync(join(shared.checkout.folder, 'deploy/local/servers.sh'),
            ['ctl', 'set_vm_memory_high_watermark', part], { env: { ...process.env, CORTEX_STATE: shared.checkout.state } });

        before(() => shared.checkout.cortex('up'));

        test('test_status_when_the_broker_has_an_alarm_then_it_says_which_and_what_stops_until_it_is_over', async () => {
            assert.doesNotMatch(await status(), /alarm|not ready/);
            watermark('0');
            try {
                let said;
                await until(async () => /gateway +not ready/.test(said = await status()), 60_000, 'status to see the alarm');
                assert.match(said, /broker: An alarm \(memory\) stops every write until RabbitMQ has enough again/);
                assert.match(said, /gateway: It is not ready: the broker is not connected, or blocks publishers\./);
            } finally {
                watermark('0.4');
            }
            await until(async () => !/alarm|not ready/.test(await status()), 60_000, 'status to see its end');
        });
    });
}
