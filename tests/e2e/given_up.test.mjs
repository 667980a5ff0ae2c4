// Commands that the broker itself gave up. The queue allows two deliveries, and the worker dies of each (fatal.c) before it can write a
// verdict of its own. The company then reads in its operation that the command is not run any more; operators find it among the dead
// letters and replay it. So it is with messages that nobody can read.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import amqp from 'amqplib';

import { expectProblem, expectStatus } from './api/expect.mjs';
import { CommandLine } from '../lib/cli.mjs';
import { Logged, until } from '../lib/process.mjs';
import { build, startStack } from '../lib/stack.mjs';

const DELIVERY_LIMIT = 1;
const TRIES = 3; // in all, until a worker has its own verdict
const FATAL = 'Fatal command';

let stack, cortex;
before(async () => {
    const limit = { CORTEX_DELIVERY_LIMIT: `${DELIVERY_LIMIT}` };
    stack = await startStack('given_up', {
        gateway: limit,
        worker: {
            ...limit,
            LD_PRELOAD: join(build, 'tests', 'e2e', 'fatal.so'),
            ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:verify_asan_link_order=0',
            CORTEX_TEST_FATAL: FATAL,
            CORTEX_CRASH_DEATHS: '1000',
        },
    });
    cortex = new CommandLine(stack);
});
after(() => {
    cortex?.close();
    return stack?.stop();
});

const deadLetterOf = async (id) => JSON.parse(await cortex.run('dead', 'show', id));

describe('given up by the broker', () => {
    test('test_command_when_its_queue_gives_it_up_then_the_operation_has_failed_and_operators_can_replay_it', async (t) => {
        const company = await stack.addCompany();
        const api = stack.client({ company });
        const log = new Logged(stack.worker, 'child.died');
        const deaths = () => log.of('child.died').filter(({ signal }) => signal === 9).length;
        const { headers } = expectStatus(await api.post('/v1/projects', { name: FATAL }, { prefer: 'respond-async' }), 202);
        const command = headers.location.split('/').pop();
        const operation = async () => expectStatus(await api.get(headers.location), 200).body;

        const failed = await until(async () => (await operation()).status === 'failed' && operation(), 60_000, 'the operation to fail');
        assert.deepEqual([failed.problem.type, failed.problem.status], ['/problems/internal', 500]);
        assert.equal(failed.waits_for, undefined);
        assert.equal(deaths(), DELIVERY_LIMIT + 1, 'each delivery has cost a worker');
        const [written] = await stack.query(`SELECT (SELECT count(*) FROM inbox WHERE command_id = '${command}') AS results,
            (SELECT count(*) FROM project WHERE company_id = '${company}') AS projects`);
        assert.deepEqual(written, { results: 0, projects: 0 });
        const stranger = stack.client({ company: await stack.addCompany() });
        assert.equal(expectStatus(await stranger.get(headers.location), 200).body.status, 'pending', 'as of any id that it never sent');

        const deadLetters = await cortex.list('dead', 'list', '--company', company);
        assert.deepEqual(deadLetters.map((deadLetter) => [deadLetter.command, deadLetter.reason, deadLetter.attempts, deadLetter.pool, deadLetter.type]),
            [[command, 'delivery_limit', DELIVERY_LIMIT + 1, 'projects', 'project.create']]);
        const deadLetter = await deadLetterOf(deadLetters[0].id);
        assert.deepEqual([deadLetter.body, deadLetter.history], [{ name: FATAL }, []]);

        await cortex.run('dead', 'replay', deadLetter.id);
        const again = await until(async () => {
            const found = await deadLetterOf(deadLetter.id);
            return found.replays === 1 && !found.is_replaying && found;
        }, 60_000, 'the dead letter to be back');
        assert.equal(again.reason, 'fatal-command', 'its row has no queue that counts deliveries');
        assert.deepEqual(again.history.map(({ reason, attempts }) => [reason, attempts]), [['delivery_limit', DELIVERY_LIMIT + 1]]);
        assert.equal(deaths(), TRIES);
        assert.equal((await operation()).status, 'failed');

        delete stack.worker.settings.CORTEX_TEST_FATAL; // the bug is mended
        await stack.worker.restart();
        await until(async () => (await cortex.try('dead', 'replay', deadLetter.id)).status === 0, 30_000, 'a worker that answers');
        const done = await until(async () => (await operation()).status === 'succeeded' && operation(), 30_000, 'the operation to succeed');
        assert.equal(done.result.name, FATAL);
        expectProblem(await stack.client({ role: 'super_admin' }).get(`/v1/admin/dead-letters/${deadLetter.id}`), 404, 'not-found');
        t.diagnostic(`${deaths()} workers died of it`);
        log.close();
    });

    test('test_message_when_nobody_can_read_it_then_operators_find_it_and_its_company_knows_where_it_says_whose_it_is', async () => {
        const company = await stack.addCompany();
        const nonsense = Buffer.from([0xc1, 0xff]);
        const command = randomUUID();
        const connection = await amqp.connect(stack.amqpUrl);
        try {
            const channel = await connection.createConfirmChannel();
            channel.publish('commands', 'projects.00.what', nonsense, { messageId: 'no id', persistent: true });
            channel.publish('commands', 'projects.00.what', nonsense, { messageId: command, persistent: true, headers: { company } });
            await channel.waitForConfirms();
        } finally {
            await connection.close();
        }
        const [lost] = await until(async () => {
            const deadLetters = await cortex.list('dead', 'list', '--reason', 'rejected');
            return deadLetters.length > 0 && deadLetters;
        }, 60_000, 'the dead letter of the broker');
        assert.deepEqual([lost.company, lost.command, lost.attempts], [null, null, 1]);
        const deadLetter = await deadLetterOf(lost.id);
        assert.deepEqual([deadLetter.body, deadLetter.body_base64], [null, nonsense.toString('base64')]);
        const refused = await cortex.try('dead', 'replay', lost.id);
        assert.notEqual(refused.status, 0);
        assert.match(refused.stderr, /cannot be read/);
        await cortex.run('dead', 'drop', lost.id);
        assert.deepEqual(await cortex.list('dead', 'list', '--reason', 'rejected'), []);

        const operation = await until(async () => {
            const { body } = await stack.client({ company }).get(`/v1/operations/${command}`);
            return body.status === 'failed' && body;
        }, 30_000, 'the operation to fail');
        assert.equal(operation.problem.type, '/problems/poison');
        const addressed = await cortex.list('dead', 'list', '--company', company);
        assert.deepEqual(addressed.map((one) => [one.command, one.reason]), [[command, 'poison']]);
        assert.notEqual((await cortex.try('dead', 'replay', addressed[0].id)).status, 0);
    });
});
