// What a gateway tells those who run it. It tells a load balancer that it is about to leave, for CORTEX_DRAIN_NOTICE_MS in which it still
// serves everything. It tells a service manager that it is ready, that it reads its settings again, that its loops turn, and that it leaves.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { send } from './../lib/http.mjs';
import { Manager } from './../lib/manager.mjs';
import { Logged, until } from './../lib/process.mjs';
import { startStack } from './../lib/stack.mjs';

const NOTICE_MS = 3000, STUCK_MS = 3000, WATCHDOG_MS = 800;
let stack, manager, log;
before(async () => {
    manager = await Manager.open('notice');
    stack = await startStack('notice', {
        gateway: {
            CORTEX_DRAIN_NOTICE_MS: `${NOTICE_MS}`, CORTEX_DRAIN_MS: '1000', CORTEX_STUCK_MS: `${STUCK_MS}`,
            NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: `${WATCHDOG_MS * 1000}`,
        },
    });
    log = new Logged(stack.gateway, 'child.killed', 'gateway.started', 'parent.replaced');
});
after(async () => {
    log?.close();
    await stack?.stop();
    manager?.close();
});

const processes = () => {
    const { pid } = stack.gateway.child;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
};
const isReady = () => until(() => manager.said.findLast((line) => line.startsWith('STATUS=')) === 'STATUS=2 of 2 processes ready', 30_000, 'both ready');

describe('notice', () => {
    test('test_gateway_when_all_processes_are_ready_then_the_service_manager_hears_it_once_and_that_they_turn', async () => {
        await isReady();
        await until(() => manager.heard('READY=1') === 1, 10_000, 'READY=1');
        const fed = manager.heard('WATCHDOG=1');
        await until(() => manager.heard('WATCHDOG=1') >= fed + 5, 10_000, 'the watchdog to be fed');
        assert.equal(manager.heard('READY=1'), 1);
    });

    test('test_gateway_when_its_settings_are_read_again_then_reloading_and_ready_when_all_are_replaced', async () => {
        stack.gateway.child.kill('SIGHUP');
        await until(() => manager.heard('READY=1') === 2, 60_000, 'the second READY=1');
        assert.equal(log.of('parent.replaced').length, 2);
        assert.equal(manager.said.filter((line) => line === 'RELOADING=1').length, 1);
        assert.ok(manager.said.some((line) => /^MONOTONIC_USEC=\d+$/.test(line)));
        await isReady();
    });

    test('test_gateway_when_the_loop_of_a_process_does_not_turn_then_it_is_replaced', async () => {
        const [stuck, other] = processes();
        const started = log.of('gateway.started').length;
        process.kill(stuck, 'SIGSTOP');
        await until(() => log.of('child.killed').length === 1, 10 * STUCK_MS, 'it to be killed');
        assert.equal(log.of('child.killed')[0].child, stuck);
        await until(() => log.of('gateway.started').length === started + 1, 30_000, 'its successor');
        assert.ok(processes().includes(other) && !processes().includes(stuck));
        await isReady();
    });

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
        await until(() => manager.heard('STOPPING=1') === 1, 10_000, 'STOPPING=1');
        await gone;
        assert.ok(performance.now() - begun >= NOTICE_MS, 'it left after the notice');
        await assert.rejects(send(`${stack.url}/healthz`));
    });
});
