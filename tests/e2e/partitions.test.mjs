// The number of partitions has one authority, the broker: a process that has another number refuses to start, or to read its settings
// again, and says both numbers. Queues that nobody consumes are told to operators, and there is a way to change the number.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import amqp from 'amqplib';

import { CommandLine } from '../lib/cli.mjs';
import { Logged, until } from '../lib/process.mjs';
import { broker, state } from '../lib/servers.mjs';
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

    test('test_number_when_it_is_changed_as_the_book_says_then_all_go_on_with_the_new_one', async (t) => {
        const operator = stack.client({ role: 'super_admin' });
        const connection = await amqp.connect(stack.amqpUrl);
        t.after(() => connection.close());
        const channel = await connection.createChannel();
        const change = async (number) => {
            await stack.gateway.stop();
            await until(async () => [...(await stack.queues())].every(([name, { ready, unacknowledged }]) =>
                !name.startsWith('commands.') || ready + unacknowledged === 0), 30_000, 'the queues to be empty');
            await stack.worker.stop();
            for (const [name] of await stack.queues()) if (name.startsWith('commands.')) await channel.deleteQueue(name);
            setNumber('gateway', number);
            setNumber('worker', number);
            await stack.worker.start();
            await stack.gateway.start();
        };
        const held = async () => (await operator.get('/v1/admin/pools/projects')).body.managers?.[0].workers[0].partitions?.length;
        for (const number of [16, 8]) {
            await change(number);
            await until(async () => (await held()) === number, 30_000, `${number} partitions`);
            for (let i = 0; i < 20; i++) {
                const company = await stack.addCompany();
                assert.equal((await stack.client({ company }).post('/v1/projects', { name: 'Bridge' })).status, 201);
            }
        }
    });

    test('test_queue_beyond_the_number_when_commands_wait_in_it_then_operators_and_the_log_hear_of_it', async (t) => {
        const operator = stack.client({ role: 'super_admin' });
        const connection = await amqp.connect(stack.amqpUrl);
        t.after(() => connection.close());
        const channel = await connection.createConfirmChannel();
        await channel.assertQueue('commands.projects.08', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
        channel.sendToQueue('commands.projects.08', Buffer.from('left behind'));
        await channel.waitForConfirms();
        await stack.worker.restart(); // its manager looks when it starts, and then every few minutes
        await until(async () => {
            const { problems } = (await operator.get('/v1/admin/pools/projects')).body;
            return problems.some((one) => /commands\.projects\.08 lies beyond CORTEX_PARTITIONS.*1 commands wait/.test(one));
        }, 30_000, 'the problem to be shown');
        assert.ok(lastLines(stack.worker, 'queue.stray').length > 0);
        await channel.deleteQueue('commands.projects.08');
        await stack.worker.restart(); // and so it is forgotten
    });

    test('test_queue_of_a_partition_when_no_worker_consumes_it_then_operators_and_the_log_hear_of_it', async (t) => {
        const operator = stack.client({ role: 'super_admin' });
        const { managers: [{ pid, workers: [worker] }] } = (await operator.get('/v1/admin/pools/projects')).body;
        assert.equal(pid, stack.worker.child.pid);
        process.kill(worker.pid, 'SIGSTOP');
        t.after(() => process.kill(worker.pid, 'SIGCONT'));
        const connections = (await broker.ctl('list_connections', '--no-table-headers', 'pid', 'client_properties', 'vhost')).split('\n')
            .filter((line) => line.includes('projects: consumer') && line.includes(stack.name));
        for (const line of connections) await broker.ctl('close_connection', line.split('\t')[0], 'for a test');
        const problems = await until(async () => {
            const all = (await operator.get('/v1/admin/pools/projects')).body.problems ?? [];
            return all.filter((one) => one.startsWith('No worker consumes')).length === 8 && all;
        }, 40_000, 'the problems to be shown');
        assert.match(problems.find((one) => one.includes('.00')), /No worker consumes the queue commands\.projects\.00, in which 0 commands wait/);
        const cortex = new CommandLine(stack);
        t.after(() => cortex.close());
        assert.match(await cortex.run('status'), /^projects: No worker consumes the queue commands\.projects\.07/m);
        await until(() => lastLines(stack.worker, 'queue.unconsumed').length === 8, 10_000, 'the log to say so');
        process.kill(worker.pid, 'SIGCONT');
        await until(async () => (await operator.get('/v1/admin/pools/projects')).body.problems.length === 0, 60_000, 'the end of the problems');
        await hasWorked();
    });
});
