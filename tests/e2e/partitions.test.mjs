// The number of partitions has one authority, the broker: a process that has another number refuses to start, or to read its settings
// again, and says both numbers. Queues that nobody consumes are told to operators, and there is a way to change the number.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Logged, until } from '../lib/process.mjs';
import { state } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';

const SENTENCE = /CORTEX_PARTITIONS is 16 here, and 8 is recorded/;
let stack, files;

// The number is in a file, so that SIGHUP can bring another.
const setNumber = (part, number) => writeFileSync(files[part], `CORTEX_PARTITIONS=${number}\n`);

before(async () => {
    files = { gateway: join(state, `partitions.gateway.${process.pid}`), worker: join(state, `partitions.worker.${process.pid}`) };
    setNumber('gateway', 8);
    setNumber('worker', 8);
    stack = await startStack('partitions', {
        gateway: { CORTEX_CONFIG: files.gateway, CORTEX_GATEWAY_PROCESSES: '2' },
        worker: { CORTEX_CONFIG: files.worker },
    });
});
after(() => stack?.stop());

const hasWorked = async () => assert.equal((await stack.client().post('/v1/projects', { name: 'Bridge' })).status, 201);
const lastLines = (program, event) => readFileSync(program.log, 'utf8').split('\n').filter((line) => line.includes(`"event":"${event}"`));

describe('partitions', () => {
    test('test_gateway_when_another_number_is_recorded_then_it_refuses_to_start_with_both_numbers', async () => {
        setNumber('gateway', 16);
        await stack.gateway.stop();
        await assert.rejects(stack.gateway.start(), SENTENCE);
        setNumber('gateway', 8);
        await stack.gateway.start();
        await hasWorked();
    });

    test('test_worker_when_another_number_is_recorded_then_it_refuses_to_start_with_both_numbers', async () => {
        setNumber('worker', 16);
        await stack.worker.stop();
        const started = stack.worker.start().catch((error) => error);
        await until(() => !stack.worker.alive(), 30_000, 'the pool to give up');
        await started;
        assert.match(stack.worker.tail(), SENTENCE);
        assert.notEqual((await stack.worker.ended).code, 0);
        setNumber('worker', 8);
        await stack.worker.start();
        await hasWorked();
    });

    test('test_gateway_when_its_settings_bring_another_number_then_refused_and_the_old_ones_stay', async () => {
        const refused = new Logged(stack.gateway, 'parent.settings_refused', 'parent.replaced');
        setNumber('gateway', 16);
        stack.gateway.child.kill('SIGHUP');
        await until(() => refused.of('parent.settings_refused').length > 0, 60_000, 'the settings to be refused');
        assert.match(lastLines(stack.gateway, 'partitions.disagree').at(-1), SENTENCE);
        assert.equal(refused.of('parent.replaced').length, 0);
        // Who dies now is started with the settings that were proven.
        const { pid } = stack.gateway.child;
        const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
        process.kill(first, 'SIGKILL');
        await until(async () => (await stack.client().get('/readyz')).status === 200);
        await until(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').length === 2, 30_000, 'two processes');
        await hasWorked();
        assert.ok(stack.gateway.alive());
        refused.close();
        setNumber('gateway', 8);
    });

    test('test_worker_when_its_settings_bring_another_number_then_refused_and_the_old_ones_stay', async () => {
        const refused = new Logged(stack.worker, 'pool.settings_refused');
        setNumber('worker', 16);
        stack.worker.child.kill('SIGHUP');
        await until(() => refused.of('pool.settings_refused').length > 0, 60_000, 'the settings to be refused');
        assert.match(lastLines(stack.worker, 'partitions.disagree').at(-1), SENTENCE);
        await hasWorked();
        refused.close();
        setNumber('worker', 8);
    });
});
