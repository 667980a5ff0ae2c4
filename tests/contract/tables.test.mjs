// The table of each resource has what its schema demands: a migration that forgets a column, a bound, a key, an index, a policy or a right
// fails here, with its name.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { database, ensureServers, root, servers } from '../lib/servers.mjs';
import { differences, readResources } from '../lib/tables.mjs';

const build = process.env.CORTEX_BUILD ?? join(root, 'build', 'asan');
const name = `tables_${process.pid}`;
const resources = readResources(join(root, 'schemas', 'messages'));
// From before there was this test: their upper bounds are only in the schema. So are these; the worker fills the two NULLs in.
const OLD = ['project', 'task', 'export', 'revocation', 'company'];
const KNOWN = [
    ...['filter_status', 'filter_priority', 'filter_text'].map((column) => `export.${column}: takes "", which the schema does not allow`),
    ...['rows', 'bytes'].map((column) => `export.${column}: takes "-1", which the schema does not allow`),
    ...['before', 'expires_at'].map((column) => `revocation.${column}: is NOT NULL, and the schema allows null`),
];
const complaints = async () => (await differences(name, resources, OLD)).filter((one) => !KNOWN.includes(one));

describe('tables of resources', () => {
    before(async () => {
        await ensureServers();
        await servers(['createdb', name]);
        await promisify(execFile)('bash', [join(root, 'deploy/local/migrate.sh')], {
            env: { ...process.env, CORTEX_DATABASE_URL: await database.url('cortex', name) },
        });
    });

    test('test_tables_when_the_migrations_are_applied_then_they_are_as_the_schemas_say', async () => {
        assert.ok(resources.some((resource) => resource.name === 'task'));
        assert.deepEqual(await complaints(), []);
    });

    test('test_sums_when_the_migrations_are_applied_then_columns_and_triggers_are_those_that_schemac_prints', async () => {
        const { stdout } = await promisify(execFile)(join(build, 'schemas', 'schemac'), ['--sums', join(root, 'schemas', 'messages')]);
        const found = await database.query(name, "SELECT proname AS name, prosrc AS text FROM pg_proc WHERE proname LIKE '%\\_sums' ORDER BY 1");
        const functions = [...stdout.matchAll(/FUNCTION (\w+_sums)\(\) RETURNS[^$]*\$sums\$(.*?)\$sums\$;/gs)].map(([, one, text]) => ({ name: one, text }));
        assert.ok(functions.length > 3);
        assert.deepEqual(found, functions.sort((a, b) => (a.name < b.name ? -1 : 1)));
        const triggers = await database.query(name, "SELECT tgrelid::regclass::text || ' ' || tgname AS name FROM pg_trigger WHERE tgname LIKE 'sums\\_of\\_%'");
        assert.deepEqual(triggers.map((one) => one.name).sort(), functions.flatMap((one) => ['insert', 'update', 'delete']
            .map((verb) => `${one.name.replace(/_sums$/, '')} sums_of_${verb}`)).sort());
        for (const [, table, column] of stdout.matchAll(/ALTER TABLE (\w+) ALTER COLUMN (\w+) SET DEFAULT 0;/g)) {
            const [row] = await database.query(name, `SELECT column_default AS value FROM information_schema.columns
                WHERE table_name = '${table}' AND column_name = '${column}'`);
            assert.equal(row?.value, '0', `${table}.${column}`);
        }
    });

    for (const [what, change, back, words] of [
        ['a_column_is_missing', 'ALTER TABLE task RENAME position TO place', 'ALTER TABLE task RENAME place TO position', /^task\.position: there is no/],
        ['a_column_is_of_another_type', 'ALTER TABLE task ALTER due_date TYPE text', 'ALTER TABLE task ALTER due_date TYPE date USING due_date::date',
            /^task\.due_date: is text/],
        ['a_column_is_too_narrow', 'ALTER TABLE project ALTER budget TYPE numeric(10, 2)', 'ALTER TABLE project ALTER budget TYPE numeric(14, 2)',
            /^project\.budget: refuses "999999999999\.99"/],
        ['a_column_may_be_null', 'ALTER TABLE task ALTER title DROP NOT NULL', 'ALTER TABLE task ALTER title SET NOT NULL', /^task\.title: may be NULL/],
        ['an_enum_has_no_check', 'ALTER TABLE task DROP CONSTRAINT task_priority_check',
            "ALTER TABLE task ADD CONSTRAINT task_priority_check CHECK (priority IN ('low', 'medium', 'high', 'critical'))", /^task\.priority: takes/],
        ['the_index_of_the_list_is_missing', 'DROP INDEX task_list', 'CREATE INDEX task_list ON task (company_id, project_id, created_at, id)',
            /^task: has no index for its list/],
        ['the_index_of_a_filter_is_missing', 'DROP INDEX task_list_assignee',
            'CREATE INDEX task_list_assignee ON task (company_id, project_id, assignee_id, created_at, id) WHERE assignee_id IS NOT NULL', /^task: has no index for its filter/],
        ['the_index_of_what_is_unique_is_missing', 'DROP INDEX project_member_user_id',
            'CREATE UNIQUE INDEX project_member_user_id ON project_member (company_id, project_id, user_id)', /^project_member\.user_id: has no unique index/],
        ['a_right_is_missing', 'REVOKE DELETE ON task FROM cortex_projects', 'GRANT DELETE ON task TO cortex_projects', /^task: cortex_projects may not DELETE/],
        ['the_gateway_may_write', 'GRANT UPDATE ON task TO cortex_gateway', 'REVOKE UPDATE ON task FROM cortex_gateway', /^task: cortex_gateway may SELECT, UPDATE/],
        ['there_is_no_row_level_security', 'ALTER TABLE task DISABLE ROW LEVEL SECURITY', 'ALTER TABLE task ENABLE ROW LEVEL SECURITY', /^task: has no row/],
    ])
        test(`test_a_table_when_${what}_then_it_is_named`, async () => {
            await database.run(name, change);
            try {
                const said = await complaints();
                assert.ok(said.length >= 1 && said.every((one) => words.test(one)), said.join('\n'));
            } finally {
                await database.run(name, back);
            }
        });
});
