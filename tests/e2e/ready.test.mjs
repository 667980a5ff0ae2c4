// Readiness looks at what requests need, before any client has tried: alarms of the broker, queues that refuse, and the columns of
// the database.
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

    for (const [what, away, back, says] of [
        ['a_column_is_missing', 'ALTER TABLE task RENAME COLUMN position TO gone', 'ALTER TABLE task RENAME COLUMN gone TO position',
            /the database lacks task\.position: a migration/],
        ['a_table_is_missing', 'ALTER TABLE export RENAME TO gone', 'ALTER TABLE gone RENAME TO export', /the database lacks export\./],
        ['a_column_may_not_be_read', 'REVOKE SELECT ON task FROM cortex_gateway; GRANT SELECT (company_id) ON task TO cortex_gateway',
            'REVOKE SELECT (company_id) ON task FROM cortex_gateway; GRANT SELECT ON task TO cortex_gateway', /lacks SELECT on task\.\S+.*grant it/],
        ['the_newest_migration_is_missing', 'UPDATE schema_migration SET name = name || \'?\' WHERE version = (SELECT max(version) FROM schema_migration)',
            'UPDATE schema_migration SET name = rtrim(name, \'?\')', /migration 0\d+_\w+ has not been applied.*migrate\.sh/],
    ])
        test(`test_ready_when_${what}_then_503_that_names_it_until_it_is_mended`, async () => {
            await stack.run(`${away};`);
            try {
                const { url, program } = await stack.addGateway({}, undefined, (answer) => answer.status === 503 && says.test(answer.body?.detail));
                assert.ok(program.hasLogged('schema.missing'));
                await stack.run(`${back};`);
                await until(async () => (await send(`${url}/readyz`)).status === 200, 60_000, 'readiness');
                await program.stop();
            } finally {
                await stack.run(`${back};`).catch(() => {});
            }
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

    test('test_ready_when_queues_that_are_not_full_refuse_steadily_then_503_until_they_take_commands_again', async () => {
        const api = stack.client();
        const policy = (...args) => stack.broker.ctl(args[0], '--vhost', stack.name, ...args.slice(1));
        await untilReady(true);
        await stack.worker.kill();
        await policy('set_policy', '--apply-to', 'queues', 'refuse', '^commands\\.', '{"max-length": 1}');
        try {
            await until(async () => {
                const answer = await api.post('/v1/projects', { name: 'Refused' }, { prefer: 'respond-async' });
                assert.ok(answer.status === 202 || answer.body.type !== '/problems/queue-full', answer.text);
                return /refuse what is sent, although they are not full/.test((await readiness()).body?.detail);
            }, 60_000, 'readiness to say that the queues refuse');
            assert.equal((await readiness()).status, 503);
        } finally {
            await policy('clear_policy', 'refuse');
            await stack.worker.start();
        }
        await until(async () => (await api.post('/v1/projects', { name: 'Taken' })).status === 201, 60_000, 'a write');
        await untilReady(true);
    });
});
