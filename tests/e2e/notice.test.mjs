// A process that is told to leave says so first: for CORTEX_DRAIN_NOTICE_MS a load balancer can look elsewhere while everything is served.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { send } from './../lib/http.mjs';
import { until } from './../lib/process.mjs';
import { startStack } from './../lib/stack.mjs';

const NOTICE_MS = 3000;
let stack;
before(async () => {
    stack = await startStack('notice', { gateway: { CORTEX_DRAIN_NOTICE_MS: `${NOTICE_MS}`, CORTEX_GATEWAY_PROCESSES: '1' } });
});
after(() => stack?.stop());

describe('notice', () => {
    test('test_gateway_when_told_to_leave_then_not_ready_first_and_serving_until_the_notice_is_over', async () => {
        const api = stack.client();
        const begun = performance.now();
        const gone = stack.gateway.stop();
        const readyz = await until(async () => {
            const answer = await send(`${stack.url}/readyz`);
            return answer.status === 503 && answer;
        }, NOTICE_MS, 'the gateway to be not ready');
        assert.equal(readyz.body.detail, 'draining');
        assert.equal((await api.post('/v1/projects', { name: 'During the notice' })).status, 201);
        await gone;
        assert.ok(performance.now() - begun >= NOTICE_MS, 'it left after the notice');
        await assert.rejects(send(`${stack.url}/healthz`));
    });
});
