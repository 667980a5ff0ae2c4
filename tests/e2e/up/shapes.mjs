// What `up` does where the database or the broker is not of the shape that this version needs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import amqp from 'amqplib';

import { until } from '../../lib/process.mjs';

const run = promisify(execFile);

export default function shapesTests(shared) {
    const servers = async (...args) =>
        (await run('bash', [join(shared.checkout.folder, 'deploy/local/servers.sh'), ...args],
            { env: { ...process.env, CORTEX_STATE: shared.checkout.state } })).stdout;
    const sql = (statement) =>
        run('bash', ['-c', 'bash "$0" sql cortex cortex <<<"$1"', join(shared.checkout.folder, 'deploy/local/servers.sh'), statement],
            { env: { ...process.env, CORTEX_STATE: shared.checkout.state } });
    const onBroker = async (work) => {
        const connection = await amqp.connect((await servers('url', 'broker')).trim());
        const channel = await connection.createConfirmChannel();
        try {
            return await work(channel);
        } finally {
            await connection.close();
        }
    };
    const writes = async (name) => {
        const { status, text } = await shared.checkout.request('POST', '/v1/projects', { name });
        assert.equal(status, 201, text);
    };

    describe('shapes', () => {
        before(() => shared.checkout.cortex('up'));

        test('test_up_when_a_migration_is_forgotten_then_it_and_status_name_the_column_and_up_does_not_wait_for_long', async () => {
            await sql('ALTER TABLE task RENAME COLUMN position TO gone');
            try {
                process.kill(shared.checkout.pid('gateway'), 'SIGTERM');
                const { status, stderr } = await shared.checkout.try(['up']);
                assert.notEqual(status, 0);
                assert.match(stderr, /gateway: the database lacks task\.position: a migration/);
                assert.doesNotMatch(stderr, /did not answer/);
                assert.match(await shared.checkout.cortex('status'), /^gateway: It is not ready: the database lacks task\.position/m);
            } finally {
                await sql('ALTER TABLE task RENAME COLUMN gone TO position');
            }
            await shared.checkout.cortex('up');
            await writes('After the migration');
        });

        test('test_up_when_the_gateway_is_just_leaving_then_it_is_started_again_as_soon_as_it_has_left', async () => {
            const old = shared.checkout.pid('gateway');
            const half = connect(shared.checkout.port, '127.0.0.1'); // an unfinished request, for which it waits
            half.on('error', () => {});
            half.write('POST /v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{');
            half.resume();
            await until(async () => half.bytesWritten > 0, 60_000, 'the half of a request');
            process.kill(old, 'SIGTERM');
            try {
                await shared.checkout.cortex('up');
            } finally {
                half.destroy();
            }
            assert.notEqual(shared.checkout.pid('gateway'), old);
            await writes('After a gateway that was leaving');
        });

        test('test_up_when_queues_have_another_shape_then_the_empty_are_replaced_and_those_that_are_not_are_named', async () => {
            await shared.checkout.cortex('up');
            for (const pid of ['gateway', 'projects', 'webhooks'].map((part) => shared.checkout.pid(part))) { // they would declare them again
                process.kill(pid, 'SIGTERM');
                await until(async () => !existsSync(`/proc/${pid}`), 60_000, `the end of ${pid}`);
            }
            const others = ['commands.projects.03', 'commands.projects.05', 'dead.projects']; // the last differs in limits first
            await onBroker(async (channel) => {
                for (const queue of others) {
                    await channel.deleteQueue(queue);
                    await channel.assertQueue(queue, { durable: true });
                }
                channel.sendToQueue(others[1], Buffer.from('x'));
                await channel.waitForConfirms();
            });
            const { status, stderr } = await shared.checkout.try(['up']);
            assert.notEqual(status, 0);
            assert.match(stderr, /not empty: commands\.projects\.05 \(1 messages\); .*nothing was stopped/);
            await onBroker((channel) => channel.purgeQueue(others[1]));
            const up = await shared.checkout.try(['up']);
            assert.equal(up.status, 0, up.stderr);
            for (const queue of others) assert.match(up.stderr, new RegExp(`replacing the empty queue ${queue}`));
            await writes('After the queues');
            const { stdout } = await shared.checkout.try(['up']);
            assert.match(stdout, /nothing was changed/);
        });

        // A state of the version before, at work: one user for everybody, whose word the processes' settings have.
        test('test_up_when_the_broker_has_no_users_by_kind_yet_then_they_are_made_while_writes_go_on_and_none_is_lost', async () => {
            const url = (await servers('url', 'broker')).trim();
            for (const part of ['gateway', 'projects', 'webhooks']) {
                await servers('ctl', 'delete_user', `cortex_${part}`);
                const settings = join(shared.checkout.state, 'secrets', `${part}.conf`);
                const lines = readFileSync(settings, 'utf8').replace(/^CORTEX_AMQP_URL=.*$/m, `CORTEX_AMQP_URL=${url}`).replace(/^CORTEX_BROKER_GIVEN=.*\n/m, '');
                writeFileSync(settings, lines);
                rmSync(join(shared.checkout.state, 'secrets', `broker_cortex_${part}`));
                process.kill(shared.checkout.pid(part), 'SIGHUP');
            }
            rmSync(join(shared.checkout.state, 'broker', 'definitions.json'));
            await until(async () => [...(await servers('ctl', 'list_connections', '--no-table-headers', 'user')).matchAll(/^cortex$/gm)].length >= 8, 60_000,
                'all processes to be reloaded');

            let isOver = false;
            const accepted = [];
            const writer = (async () => {
                for (let i = 0; !isOver; i++) {
                    const name = `During the change ${i}`;
                    const answer = await shared.checkout.request('POST', '/v1/projects', { name }, { prefer: 'respond-async' }).catch(() => ({}));
                    if (answer.status === 202 || answer.status === 201) accepted.push(name);
                }
            })();
            const up = await shared.checkout.try(['up']);
            isOver = true;
            await writer;
            assert.equal(up.status, 0, up.stderr);
            assert.match(up.stderr, /giving each kind of process its user/);
            assert.ok(accepted.length > 0);
            const there = async () => (await sql("SELECT '<' || name || '>' FROM project WHERE name LIKE 'During the change %'")).stdout;
            await until(async () => {
                const rows = await there();
                return accepted.every((name) => rows.includes(`<${name}>`));
            }, 60_000, 'each write that was accepted');
            const users = (await servers('ctl', 'list_connections', '--no-table-headers', 'user')).trim().split('\n');
            assert.deepEqual([...new Set(users)].sort(), ['cortex_gateway', 'cortex_projects', 'cortex_webhooks']);
            const { stdout } = await shared.checkout.try(['up']);
            assert.match(stdout, /nothing was changed/);
        });
    });
}
