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
    // What the system looks for by itself: what has expired, what is due, of which projects a user is a member, whose tokens are revoked.
    ...[['export', 'export_expiry btree (GREATEST(ended_at, expires_at)) where ended_at IS NOT NULL'],
        ['invoice', "invoice_due btree (due_date) where status = 'sent'::text"], ['project_member', 'project_member_user btree (company_id, user_id, project_id)'],
        ['revocation', 'revocation_age btree (GREATEST(created_at, before))'], ['revocation', 'revocation_user btree (company_id, user_id, before)'],
        ['webhook_delivery', 'webhook_delivery_asked btree (company_id, endpoint_id) where (next_at IS NOT NULL) AND is_asked'],
        ['webhook_delivery', 'webhook_delivery_expiry btree (COALESCE(attempted_at, created_at)) where next_at IS NULL'],
        ['webhook_delivery', 'webhook_delivery_next btree (company_id, endpoint_id, next_at, event_seq) where (next_at IS NOT NULL) AND (NOT is_behind)'],
        ['webhook_delivery', 'webhook_delivery_turn btree (company_id, endpoint_id, turn, event_seq) where (next_at IS NOT NULL) AND (turn IS NOT NULL)'],
    ].map(([table, index]) => `${table}: has an index that its schema does not want: ${index}`),
    // A long job writes how far it is, and retention deletes revocations; a gateway hears of those of every company.
    ...['webhook_delivery', 'webhook_health'].flatMap((table) => ['INSERT', 'UPDATE'].map((right) => `${table}: cortex_webhooks may ${right}, and no command does`)), // the feed, the sender
    'webhook_recovery: cortex_webhooks may UPDATE, and no command does', // its long job
    'export: cortex_projects may UPDATE, and no command does', 'revocation: cortex_projects may DELETE, and no command does',
    "revocation: has no policy own_company for r to {cortex_gateway} using ((company_id = (NULLIF(current_setting('cortex.company'::text, true), ''::text))::uuid)) with check ()",
    // A trigger and retention are beside webhooks that were posted to us; a gateway reads the sources of every company under the id of none.
    'hook_event: has an index that its schema does not want: hook_event_expiry btree (GREATEST(created_at, updated_at))',
    'hook_event: cortex_webhooks may INSERT, and no command does', 'hook_event: cortex_webhooks may UPDATE, and no command does',
    "hook_source: has a policy that its schema does not want: every_company_gateway for r to {cortex_gateway} using ((current_setting('cortex.company'::text, true) = '00000000-0000-0000-0000-000000000000'::text)) with check ()",
    'revocation: has a policy that its schema does not want: every_company_gateway for r to {cortex_gateway} using (true) with check ()',
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
            /^task: has no index for its list: btree \(company_id, project_id, created_at, id\)/],
        ['the_index_of_a_filter_is_missing', 'DROP INDEX task_list_assignee',
            'CREATE INDEX task_list_assignee ON task (company_id, project_id, assignee_id, created_at, id) WHERE assignee_id IS NOT NULL', /^task: has no index for its filter assignee_id: /],
        ['the_index_of_what_is_unique_is_missing', 'DROP INDEX project_member_user_id',
            'CREATE UNIQUE INDEX project_member_user_id ON project_member (company_id, project_id, user_id)', /^project_member: has no index for what is unique, user_id: unique /],
        ['the_index_of_money_is_missing', 'DROP INDEX purchase_order_sort_total', 'CREATE INDEX purchase_order_sort_total ON purchase_order (company_id, total_cents, id)',
            /^purchase_order: has no index for its sort total: btree \(company_id, total_cents, id\)/],
        ['an_index_leaves_rows_out', 'DROP INDEX task_sort_due_date; CREATE INDEX task_sort_due_date ON task (company_id, project_id, due_date, id) WHERE position > 0',
            'DROP INDEX task_sort_due_date; CREATE INDEX task_sort_due_date ON task (company_id, project_id, due_date, id)', /^task: has (no index for its sort due_date|an index that)/],
        ['an_index_is_in_another_order', 'DROP INDEX task_sort_due_date; CREATE INDEX task_sort_due_date ON task (company_id, project_id, due_date DESC, id)',
            'DROP INDEX task_sort_due_date; CREATE INDEX task_sort_due_date ON task (company_id, project_id, due_date, id)', /^task: its index task_sort_due_date is in another/],
        ['a_policy_lets_more_through', 'ALTER POLICY own_company ON task USING (true)',
            "ALTER POLICY own_company ON task USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid)", /^task: has (no policy|a policy that)/],
        ['there_is_one_policy_more', 'CREATE POLICY more ON task FOR SELECT TO cortex_gateway USING (true)', 'DROP POLICY more ON task', /^task: has a policy that its/],
        ['a_pool_may_do_more', 'GRANT TRUNCATE ON task TO cortex_projects', 'REVOKE TRUNCATE ON task FROM cortex_projects', /^task: cortex_projects may TRUNCATE/],
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
