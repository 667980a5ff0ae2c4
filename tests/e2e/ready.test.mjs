// Readiness looks at what writes need, before any client has tried: alarms of the broker, and queues that refuse.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { send } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';

let stack;
before(async () => (stack = await startStack('ready')));
after(async () => {
    await stack?.broker.alarm(false).catch(() => {});
    await stack?.stop();
});

const readiness = () => send(`${stack.url}/readyz`);

async function untilReady(is) {
    await until(async () => ((await readiness()).status === 200) === is, 60_000, `readiness ${is}`);
}

describe('readiness', () => {
    test('test_ready_when_the_broker_has_an_alarm_of_memory_and_nobody_writes_then_503_until_it_is_over', async () => {
        await untilReady(true);
        await stack.broker.alarm(true);
        await untilReady(false);
        assert.match((await readiness()).body.detail, /blocks publishers/);
        await stack.broker.alarm(false);
        await untilReady(true);
    });

    test('test_ready_when_the_broker_has_an_alarm_of_disk_and_nobody_writes_then_503_until_it_is_over', async () => {
        await stack.broker.ctl('set_disk_free_limit', '1000000GB');
        try {
            await untilReady(false);
        } finally {
            await stack.broker.ctl('set_disk_free_limit', '50MB');
        }
        await untilReady(true);
        const { status } = await stack.client().post('/v1/projects', { name: 'After the alarm' });
        assert.equal(status, 201);
    });
});
