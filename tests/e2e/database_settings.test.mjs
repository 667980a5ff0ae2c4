// An owner gives the database settings that change how values are read, written and understood. What clients see stays the same,
// byte for byte, and nothing stops.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { begin, content, ended } from '../lib/exports.mjs';
import { until } from '../lib/process.mjs';
import { database, root } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';
import { expectStatus, newProject, newTask } from './api/expect.mjs';
import { inSeconds, operationOf, succeeded } from './schedules/delayed.mjs';

const hostile = {
    DateStyle: 'SQL, DMY',
    IntervalStyle: 'iso_8601',
    TimeZone: 'Asia/Kathmandu',
    timezone_abbreviations: 'India',
    bytea_output: 'escape',
    extra_float_digits: '-15',
    client_encoding: 'LATIN1',
    xmlbinary: 'hex',
    xmloption: 'document',
    array_nulls: 'off',
    search_path: 'nowhere',
    standard_conforming_strings: 'off',
    backslash_quote: 'on',
    transform_null_equals: 'on',
    quote_all_identifiers: 'on',
    default_text_search_config: 'pg_catalog.german',
    row_security: 'off',
    'cortex.operator': 'on',
    gin_fuzzy_search_limit: '1',
    default_transaction_isolation: 'serializable',
    default_transaction_read_only: 'on',
    default_transaction_deferrable: 'on',
    synchronous_commit: 'off',
    'plpgsql.extra_errors': 'all',
    lock_timeout: '1ms',
    statement_timeout: '100ms',
    idle_session_timeout: '300ms',
    idle_in_transaction_session_timeout: '1ms',
    enable_indexscan: 'off',
};

let stack, company, api, project;
before(async () => {
    stack = await startStack('database_settings');
    company = await stack.addCompany();
    api = stack.client({ company });
    project = await newProject(api, { name: 'Brücke "Süd"', budget: 12.5, start_date: '2026-03-04', end_date: '2026-11-30' });
    await newTask(api, project, { title: 'NULL', due_date: '2026-04-05' });
});
after(() => stack?.stop());

const settings = (statement) => Object.entries(hostile).map(([name, value]) => statement(name, value)).join('\n');
const owners = settings((name, value) => `ALTER DATABASE :"DBNAME" SET ${name} = '${value}';`)
    + settings((name, value) => `ALTER ROLE cortex_gateway IN DATABASE :"DBNAME" SET ${name} = '${value}';`)
    + settings((name, value) => `ALTER ROLE cortex_projects IN DATABASE :"DBNAME" SET ${name} = '${value}';`);

// New sessions take over what was set.
const endSessions = () => stack.run(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();`);

const settled = () => until(async () => (await api.get('/readyz')).status === 200
    && (await api.get(`/v1/projects/${project.id}`)).status === 200, 20_000, 'the gateway to read again');

async function exported(format) {
    const id = await begin(api, { resource: 'project', format });
    assert.equal((await ended(api, id)).status, 'completed');
    return (await content(api, id)).text;
}

// What a client reads of the same rows.
async function picture() {
    return {
        csv: await exported('csv'), // its events are behind the page of events that is read below
        ndjson: await exported('ndjson'),
        project: (await api.get(`/v1/projects/${project.id}`)).text,
        list: (await api.get('/v1/projects?text=NULL')).text + (await api.get('/v1/projects?status=planning')).text,
        tasks: (await api.get(`/v1/projects/${project.id}/tasks`)).text,
        events: (await api.get('/v1/events?after=0&limit=2')).text,
    };
}

test('test_settings_when_the_owner_changes_them_then_clients_read_the_same_bytes_and_nothing_stops', async () => {
    const other = stack.client({ company: await stack.addCompany() });
    const quiet = await picture();
    await stack.run(owners);
    await endSessions();
    await settled();
    assert.deepEqual(await picture(), quiet);
    expectStatus(await other.get(`/v1/projects/${project.id}`), 404);

    const later = operationOf(expectStatus(await api.post('/v1/projects', { name: 'Später' }, { 'cortex-run-at': inSeconds(1) }), 202));
    assert.equal((await succeeded(api, later)).result.name, 'Später');

    const operator = stack.client({ role: 'super_admin' });
    const name = `hostile-${randomUUID().slice(0, 8)}`;
    expectStatus(await operator.put(`/v1/admin/schedules/${name}`, { cron: '* * * * * *', company, type: 'project.create',
        body: { name: 'By the clock' } }), 201);
    await until(async () => (await api.get('/v1/projects')).body.data.some((one) => one.name === 'By the clock'), 20_000, 'the schedule to run');
    const shown = (await operator.get(`/v1/admin/schedules/${name}`)).body;
    assert.match(shown.next_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.deepEqual(shown.body, { name: 'By the clock' });
    expectStatus(await operator.delete(`/v1/admin/schedules/${name}`), 204);

    // The work of the system, and its functions.
    expectStatus(await operator.post('/v1/admin/schedules/events.partitions/run'), 202);
    await until(async () => (await operator.get('/v1/admin/schedules/events.partitions')).body.last?.ended_at, 20_000, 'the work to end');
    const { last } = (await operator.get('/v1/admin/schedules/events.partitions')).body;
    assert.equal(last.error ?? null, null);

    // Scripts that read what psql prints.
    const said = await promisify(execFile)('bash', [join(root, 'deploy', 'local', 'migrate.sh')],
        { env: { ...process.env, CORTEX_DATABASE_URL: await database.url('cortex', stack.name) } });
    assert.equal(said.stderr, '');
    assert.deepEqual(await stack.query('SELECT count(*) FROM dead_letter'), [{ count: 0 }]);
});
