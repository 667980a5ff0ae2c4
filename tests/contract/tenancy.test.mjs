// Every table that has rows of companies is under row-level security: a migration that forgets it fails here, with the table's name.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { database, ensureServers, root, servers } from '../lib/servers.mjs';

const name = `tenancy_${process.pid}`;

// What text_search_prepare and text_search_begin make (0025). Nobody has rights on these but the functions that keep them: no row of theirs
// is for any role.
const FOR_FUNCTIONS = /_text_(block|changed)$/;
// The gateway reads all companies' rows of these, and shows none: who is revoked (auth/revocations.h), which companies are full.
const OF_ALL_COMPANIES = ['revocation', 'deferred_total'];

const RELATIONS = `
    SELECT c.relname AS name, c.relkind IN ('v', 'm') AS is_view, c.relispartition AS is_partition, c.relrowsecurity AS is_secured,
           coalesce('security_invoker=true' = ANY (c.reloptions), false) AS asks_as_caller,
           has_any_column_privilege('cortex_gateway', c.oid, 'SELECT, INSERT, UPDATE') AS gateway_may,
           has_any_column_privilege('cortex_worker', c.oid, 'SELECT, INSERT, UPDATE') AS worker_may,
           ARRAY(SELECT m.member::regrole::text FROM pg_auth_members AS m WHERE m.roleid = 'cortex_engine'::regrole
                   AND m.member::regrole::text LIKE 'cortex\\_%') AS pools,
           ARRAY(SELECT r.rolname FROM pg_policy AS p, pg_roles AS r WHERE p.polrelid = c.oid AND r.oid = ANY (p.polroles)) AS policies_of,
           ARRAY(SELECT coalesce(pg_get_expr(p.polqual, p.polrelid), '') FROM pg_policy AS p
                 WHERE p.polrelid = c.oid AND 'cortex_gateway'::regrole = ANY (p.polroles) OR p.polrelid = c.oid AND 0 = ANY (p.polroles)) AS gateway_sees
      FROM pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped)
     ORDER BY c.relname`;

function complaint({ name: table, is_view, is_partition, is_secured, asks_as_caller, gateway_may, worker_may, pools, policies_of, gateway_sees }) {
    if (is_view) return gateway_may && !asks_as_caller ? `${table}: the gateway reads a view as its owner, who sees every company` : null;
    if (is_partition) return gateway_may ? `${table}: the gateway reads a partition itself, past the policies of its table` : null;
    if (!is_secured) return `${table}: has company_id and no row-level security (ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY)`;
    if (policies_of.length === 0 && !FOR_FUNCTIONS.test(table)) return `${table}: has company_id and no policy (CREATE POLICY … ON ${table})`;
    if (gateway_may && !policies_of.includes('cortex_gateway')) return `${table}: cortex_gateway has rights and no policy`;
    if (worker_may && !policies_of.includes('cortex_engine') && !pools.every((pool) => policies_of.includes(pool))) return `${table}: a pool has rights and no policy`;
    const open = gateway_sees.find((seen) => !/cortex\.(company|operator)/.test(seen));
    if (open !== undefined && !OF_ALL_COMPANIES.includes(table)) return `${table}: a policy shows the gateway rows of every company (${open})`;
    return null;
}

const complaints = async () => (await database.query(name, RELATIONS)).map(complaint).filter(Boolean);

describe('tables with rows of companies', () => {
    before(async () => {
        await ensureServers();
        await servers(['createdb', name]);
        await promisify(execFile)('bash', [join(root, 'deploy/local/migrate.sh')], {
            env: { ...process.env, CORTEX_DATABASE_URL: await database.url('cortex', name) },
        });
    });

    test('test_tables_when_the_migrations_are_applied_then_each_has_a_policy', async () => {
        const all = await database.query(name, RELATIONS);
        for (const table of ['project', 'task', 'events', 'inbox']) assert.ok(all.some((one) => one.name === table), table);
        assert.deepEqual(await complaints(), []);
    });

    const policy = "CREATE POLICY own_company ON t TO cortex_gateway USING (company_id = current_setting('cortex.company')::uuid);";
    for (const [what, statements, words] of [
        ['it_has_no_row_level_security', '', /^t: .*no row-level security/],
        ['it_has_no_row_level_security_although_a_policy', policy, /^t: .*no row-level security/],
        ['it_has_no_policy', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY;', /^t: .*no policy/],
        ['a_role_with_rights_has_no_policy', `ALTER TABLE t ENABLE ROW LEVEL SECURITY; ${policy} GRANT SELECT ON t TO cortex_webhooks;`, /^t: a pool/],
        ['its_policy_shows_all', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO cortex_gateway;'
            + 'CREATE POLICY p ON t TO cortex_gateway USING (true);', /^t: a policy shows/],
        ['a_view_shows_all', `ALTER TABLE t ENABLE ROW LEVEL SECURITY; ${policy} CREATE VIEW t_view AS TABLE t; GRANT SELECT ON t_view TO cortex_gateway;`,
            /^t_view: .*view/],
    ])
        test(`test_tables_when_a_new_one_is_made_and_${what}_then_it_is_named`, async () => {
            await database.run(name, `CREATE TABLE t (company_id uuid, id uuid, PRIMARY KEY (company_id, id)); ${statements}`);
            try {
                const said = await complaints();
                assert.equal(said.length, 1, said.join('\n'));
                assert.match(said[0], words);
            } finally {
                await database.run(name, 'DROP TABLE t CASCADE;');
            }
        });
});
