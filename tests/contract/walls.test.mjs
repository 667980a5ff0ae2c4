// Each process's role of the database may do what it needs and no more: every table, privilege and role of pg_catalog against what follows
// from the schemas (whose tables they are, and what commands do to them) and from the engine's own tables, which stand here.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { database, ensureServers, root, servers } from '../lib/servers.mjs';
import { readResources } from '../lib/tables.mjs';

const name = `walls_${process.pid}`;
const resources = readResources(join(root, 'schemas', 'messages'));
const pools = [...new Set(['projects', 'webhooks', ...resources.map(({ pool }) => pool)])];

// What every pool may do, because the engine does it.
const ENGINE = {
    begun_mark: 'SELECT INSERT UPDATE DELETE', company: 'SELECT', company_sequence: 'SELECT', counter: 'SELECT INSERT UPDATE',
    dead_letter: 'SELECT INSERT UPDATE DELETE', deferred: 'SELECT INSERT UPDATE DELETE', deferred_total: 'SELECT INSERT UPDATE',
    events: 'SELECT INSERT', events_default: 'SELECT DELETE', feed: 'SELECT INSERT UPDATE DELETE', inbox: 'SELECT INSERT DELETE',
    long_job: 'SELECT INSERT UPDATE DELETE', mark: 'SELECT INSERT UPDATE DELETE', operator_act: 'SELECT INSERT UPDATE DELETE',
    pool_key: 'SELECT INSERT UPDATE',
    retention_cursor: 'SELECT INSERT UPDATE', revocation: 'SELECT DELETE', schedule: 'SELECT INSERT UPDATE DELETE', schema_migration: 'SELECT',
    unpublished: 'SELECT INSERT DELETE', untold: 'SELECT INSERT DELETE',
};
// What a pool has beside the tables of its resources, or may do to these beside their verbs.
const OF_POOL = {
    projects: {
        export: 'UPDATE DELETE', export_content: 'SELECT INSERT UPDATE DELETE', export_piece: 'SELECT INSERT DELETE',
        export_total: 'SELECT INSERT UPDATE', operation: 'SELECT UPDATE',
    },
};
// What the gateway reads beside the tables of resources.
const GATEWAY = ['company_sequence', 'dead_letter', 'deferred', 'deferred_total', 'events', 'export_piece', 'inbox', 'long_job', 'operator_act',
    'pool_key', 'schedule', 'schema_migration'];
// Of these, some columns only.
const COLUMNS = {
    'app_user cortex_engine SELECT': 'active,company_id,id,role',
    'app_user cortex_gateway SELECT': 'active,avatar,company_id,created_at,email,email_verified,id,name,phone,role,updated_at,version',
    'company_sequence cortex_engine UPDATE': 'seq',
};
// Functions that run as their owner.
const DEFINER = {
    cortex_engine: /^(events_partitions_ahead|events_drop_before|events_expire|probe_write|dead_letter_replay|invoice_overdue|export_expire|\w+_text_fill)$/,
    cortex_projects: /^export_sweep$/,
    cortex_gateway: /^(feed_view|walk_begin|\w+_search)$/,
};
const VIEWS = ['operation'];
const GRANTS = { create: 'INSERT', update: 'UPDATE', delete: 'DELETE' };

// "task cortex_projects SELECT" of every right that there should be, by inheritance too.
function wanted() {
    const rights = new Set();
    const add = (table, role, list) => list.forEach((right) => rights.add(`${table} ${role} ${right}`));
    const exporter = resources.find((one) => one.name === 'export').pool;
    for (const pool of pools) {
        const role = `cortex_${pool}`;
        for (const [table, list] of [...Object.entries(ENGINE), ...Object.entries(OF_POOL[pool] ?? {})]) add(table, role, list.split(' '));
        for (const one of resources.filter((resource) => resource.pool === pool)) {
            add(one.table, role, ['SELECT', ...one.verbs.map((verb) => GRANTS[verb]).filter(Boolean)]);
            const named = [one.parent, ...Object.values(one.fields).map((field) => field['x-reference']?.to), ...(one.channel || one.parent ? ['project', 'project_member'] : [])];
            for (const other of resources.filter((resource) => named.includes(resource.name))) add(other.table, role, ['SELECT']);
        }
    }
    for (const one of resources) {
        if (!VIEWS.includes(one.table)) add(one.table, 'cortex_gateway', ['SELECT']);
        if (one.export !== false && one.verbs.includes('list')) add(one.table, `cortex_${exporter}`, ['SELECT']);
    }
    for (const [table, list] of Object.entries(ENGINE)) add(table, 'cortex_engine', list.split(' '));
    GATEWAY.forEach((table) => add(table, 'cortex_gateway', ['SELECT']));
    return rights;
}

const ROLES = ['cortex_gateway', 'cortex_engine', ...pools.map((pool) => `cortex_${pool}`)];
const TABLES = `
    SELECT c.relname || ' ' || r.role || ' ' || x AS right
      FROM pg_class AS c, unnest('{${ROLES}}'::text[]) AS r (role),
           unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS x
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(r.role, c.oid, x)`;
const OF_COLUMNS = `
    SELECT c.relname || ' ' || x.grantee::regrole || ' ' || x.privilege_type AS right, string_agg(a.attname, ',' ORDER BY a.attname) AS columns
      FROM pg_class AS c, pg_attribute AS a, aclexplode(a.attacl) AS x
     WHERE c.relnamespace = 'public'::regnamespace AND a.attrelid = c.oid AND x.grantee <> 'cortex_worker'::regrole GROUP BY 1`;
const FUNCTIONS = `
    SELECT p.proname AS name, r.role FROM pg_proc AS p, unnest('{${ROLES}}'::text[]) AS r (role)
     WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND p.prorettype <> 'trigger'::regtype
       AND has_function_privilege(r.role, p.oid, 'EXECUTE')`;

async function differences() {
    const should = wanted(), is = new Set((await database.query(name, TABLES)).map(({ right }) => right));
    return [...[...is].filter((right) => !should.has(right)).map((right) => `too much: ${right}`),
        ...[...should].filter((right) => !is.has(right)).map((right) => `missing: ${right}`)];
}

const migrate = async () => (await promisify(execFile)('bash', [join(root, 'deploy/local/migrate.sh')], {
    env: { ...process.env, CORTEX_DATABASE_URL: await database.url('cortex', name) },
})).stderr;
const as = (role, statement) => database.run(name, `SET ROLE ${role}; ${statement}`);

describe('roles of the database', () => {
    let said;
    before(async () => {
        await ensureServers();
        await servers(['createdb', name]);
        said = await migrate();
    });

    test('test_tables_when_each_right_of_each_role_is_looked_at_then_it_has_what_it_needs_and_no_more', async () => {
        assert.deepEqual(await differences(), []);
        const columns = await database.query(name, OF_COLUMNS);
        assert.deepEqual(Object.fromEntries(columns.map(({ right, columns: list }) => [right, list])), COLUMNS);
    });

    test('test_functions_that_run_as_their_owner_when_a_role_may_call_them_then_they_are_for_it', async () => {
        const callable = await database.query(name, FUNCTIONS);
        assert.ok(callable.some((one) => one.name === 'export_expire' && one.role === 'cortex_webhooks'));
        const may = (role) => (role in DEFINER ? [DEFINER[role]] : []).concat(/gateway|engine/.test(role) ? [] : [DEFINER.cortex_engine]);
        assert.deepEqual(callable.filter((one) => !may(one.role).some((names) => names.test(one.name))), []);
    });

    test('test_roles_when_they_are_made_then_a_pool_is_in_the_engine_alone_and_workers_of_before_are_in_every_pool', async () => {
        const members = await database.query(name, `SELECT m.member::regrole::text AS member, m.roleid::regrole::text AS role FROM pg_auth_members AS m
            WHERE m.member::regrole::text LIKE 'cortex\\_%' ORDER BY 1, 2`);
        assert.deepEqual(members, [
            ...pools.map((pool) => ({ member: `cortex_${pool}`, role: 'cortex_engine' })),
            ...pools.map((pool) => ({ member: 'cortex_worker', role: `cortex_${pool}` })),
        ].sort((a, b) => (a.member + a.role < b.member + b.role ? -1 : 1)));
        assert.deepEqual(await database.query(name, `SELECT rolname FROM pg_roles WHERE rolname LIKE 'cortex\\_%'
            AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication)`), []);
    });

    for (const [what, change, back, words] of [
        ['a_pool_reads_a_table_of_another', 'GRANT SELECT ON task TO cortex_webhooks', 'REVOKE SELECT ON task FROM cortex_webhooks', 'too much: task cortex_webhooks SELECT'],
        ['everybody_does', 'GRANT SELECT ON export_total TO PUBLIC', 'REVOKE SELECT ON export_total FROM PUBLIC', 'too much: export_total cortex_gateway SELECT'],
        ['the_engine_lacks_one', 'REVOKE INSERT ON inbox FROM cortex_engine', 'GRANT INSERT ON inbox TO cortex_engine', 'missing: inbox cortex_webhooks INSERT'],
        ['a_table_is_new', 'CREATE TABLE t (id uuid); GRANT TRUNCATE ON t TO cortex_projects', 'DROP TABLE t', 'too much: t cortex_projects TRUNCATE'],
    ])
        test(`test_tables_when_${what}_then_it_is_named`, async () => {
            await database.run(name, change);
            try {
                assert.ok((await differences()).includes(words));
            } finally {
                await database.run(name, back);
            }
        });

    test('test_a_pool_when_it_and_a_resource_of_it_are_new_then_one_function_makes_the_role_and_grants', async () => {
        const fresh = `cortex_w${process.pid}`;
        try {
            await database.run(name, `SET ROLE cortex; CREATE TABLE t (company_id uuid REFERENCES company, id uuid, PRIMARY KEY (company_id, id));
                SELECT resource_rights('t', '{create,update}', 'w${process.pid}');`);
            await as(fresh, 'SELECT FROM t; SELECT FROM inbox;');
            await as('cortex_worker', 'SELECT FROM t;');
            await assert.rejects(as(fresh, 'DELETE FROM t;'), /permission denied for table t/);
            await assert.rejects(as(fresh, 'SELECT FROM project;'), /permission denied for table project/);
            await assert.rejects(as('cortex_webhooks', 'SELECT FROM t;'), /permission denied for table t/);
        } finally {
            await database.run(name, `DROP TABLE IF EXISTS t; DROP ROLE IF EXISTS ${fresh};`);
        }
    });

    const FORBIDDEN = {
        'CREATE TEMPORARY TABLE mine (id uuid);': /permission denied to create temporary tables/,
        'SELECT lo_from_bytea(0, \'mine\');': /permission denied for function lo_from_bytea/,
        'SELECT lo_create(0);': /permission denied for function lo_create/,
        'SELECT pg_try_advisory_lock(1);': /permission denied for function pg_try_advisory_lock/,
        "SELECT pg_advisory_xact_lock(hashtext('cortex.walk'), 1);": /permission denied for function pg_advisory_xact_lock/,
    };

    test('test_walls_when_the_owner_is_no_superuser_then_the_migration_says_his_statements_and_with_these_they_stand', async () => {
        for (const statement of Object.keys(FORBIDDEN)) await as('cortex_gateway', `BEGIN; ${statement} ROLLBACK;`);
        const statements = said.slice(said.indexOf('REVOKE TEMPORARY'));
        assert.match(said, /say as a superuser, in this database:\nREVOKE TEMPORARY ON DATABASE/);
        await database.run(name, statements);

        for (const role of ['cortex_gateway', 'cortex_projects', 'cortex_webhooks'])
            for (const [statement, words] of Object.entries(FORBIDDEN)) await assert.rejects(as(role, statement), words, `${role}: ${statement}`);
        // What they need of it goes on, and so do migrations.
        await as('cortex_gateway', "SELECT walk_begin('somebody');");
        await as('cortex_webhooks', 'SELECT events_expire(7), events_partitions_ahead(1), export_expire(7, 10), invoice_overdue(10, now()), task_text_fill(10);');
        await as('cortex_projects', 'SELECT export_sweep(10);');
        assert.equal(await migrate(), '');
    });
});
