// Each process's role of the database may do what it needs and no more: every table, privilege and role of pg_catalog against what follows
// from the schemas (whose tables they are, and what commands do to them) and from the engine's own tables, which stand here.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { before, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { database, ensureServers, root, servers } from '../lib/servers.mjs';
import { readResources } from '../lib/tables.mjs';

const name = `walls_${process.pid}`;
const resources = readResources(join(root, 'schemas', 'messages'));
const pools = [...new Set(['projects', 'webhooks', ...resources.map(({ pool }) => pool)])];

// What every pool may do, because the engine does it.
const ENGINE = {
    begun_mark: 'SELECT INSERT UPDATE DELETE', company: 'SELECT', company_sequence: 'SELECT', counter: 'SELECT INSERT UPDATE',
    dead_letter: 'SELECT INSERT UPDATE DELETE', dead_letter_head: 'SELECT', deferred: 'SELECT INSERT UPDATE DELETE', deferred_head: 'SELECT',
    deferred_total: 'SELECT INSERT UPDATE',
    events: 'SELECT INSERT', events_default: 'SELECT DELETE', feed: 'SELECT INSERT UPDATE DELETE', inbox: 'SELECT INSERT DELETE',
    long_job: 'SELECT INSERT UPDATE DELETE', mark: 'SELECT INSERT UPDATE DELETE', operator_act: 'SELECT INSERT UPDATE DELETE',
    outgoing_lane: 'SELECT INSERT UPDATE DELETE', pool_key: 'SELECT INSERT UPDATE',
    retention_cursor: 'SELECT INSERT UPDATE', revocation: 'SELECT DELETE', schedule: 'SELECT INSERT UPDATE DELETE', schema_migration: 'SELECT',
    unpublished: 'SELECT INSERT DELETE', untold: 'SELECT INSERT DELETE',
};
// What a pool has beside the tables of its resources, or may do to these beside their verbs.
const OF_POOL = {
    projects: {
        export: 'UPDATE DELETE', export_content: 'SELECT INSERT UPDATE DELETE', export_piece: 'SELECT INSERT DELETE',
        export_total: 'SELECT INSERT UPDATE', operation: 'SELECT UPDATE',
    },
    webhooks: { hook_event: 'INSERT UPDATE', webhook_attempt: 'SELECT INSERT', webhook_delivery: 'INSERT UPDATE', webhook_gone: 'INSERT', webhook_health: 'INSERT UPDATE', webhook_kept: 'SELECT', webhook_recovery: 'UPDATE' },
};
// What the gateway reads beside the tables of resources.
const GATEWAY = ['company_sequence', 'dead_letter', 'deferred', 'deferred_total', 'events', 'export_piece', 'inbox', 'long_job', 'operator_act',
    'pool_key', 'schedule', 'schema_migration', 'webhook_attempt'];
// Of these, some columns only.
const COLUMNS = {
    'app_user cortex_engine SELECT': 'active,company_id,id,role',
    'app_user cortex_gateway SELECT': 'active,avatar,company_id,created_at,email,email_verified,id,name,phone,role,updated_at,version',
    'company_sequence cortex_engine UPDATE': 'seq',
};
// Functions that run as their owner.
const DEFINER = {
    cortex_engine: /^(events_partitions_ahead|events_drop_before|events_expire|probe_write|deferred_is_of|dead_letter_(replay|take|drop|expire)|invoice_overdue|(export|hook_event)_expire|webhook_(attempts_ahead|attempt_expire|delivery_expire|delivery_sweep)|\w+_text_fill)$/,
    cortex_projects: /^export_sweep$/,
    cortex_gateway: /^(feed_view|walk_begin|\w+_search)$/,
};
const VIEWS = ['operation'];
const GRANTS = { create: 'INSERT', update: 'UPDATE', delete: 'DELETE' };

// Whether what it belongs to, in the end, has a channel.
const isOfProjects = ({ channel, parent }) => Boolean(channel || (parent && isOfProjects(resources.find(({ name }) => name === parent))));

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
            const named = [one.parent, ...Object.values(one.fields).map((field) => field['x-reference']?.to), ...(isOfProjects(one) ? ['project', 'project_member'] : [])];
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
            await database.run(name, `DROP TABLE IF EXISTS t; DROP POLICY IF EXISTS own_pool_w${process.pid} ON deferred;
                DROP POLICY IF EXISTS own_pool_w${process.pid} ON dead_letter; DROP ROLE IF EXISTS ${fresh};`);
        }
    });

    describe('what waits', () => {
        const company = '00000000-0000-7000-8000-0000000000aa';
        const put = (pool, reason, id) => `INSERT INTO deferred (company_id, command_id, pool, slot, reason, due_at, type, actor, role, fingerprint, body)
            VALUES ('${company}', '${id}', '${pool}', 1, '${reason}', now() + interval '1 day', 'x.create', '${company}', 'viewer', 1, 'secret');`;
        const die = (pool, id, at = 'now()') => `INSERT INTO dead_letter (pool, company_id, command_id, slot, reason, last_at, type, actor, role, fingerprint, body)
            VALUES ('${pool}', '${company}', '${id}', 1, 'poison', ${at}, 'x.create', '${company}', 'viewer', 1, 'secret');`;
        const id = (n) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
        const seen = async (role, table) => (await as(role, `SELECT '<' || string_agg(DISTINCT pool, ' ' ORDER BY pool) || '>' FROM ${table};`)).match(/<(.*)>/)?.[1] ?? '';
        const count = async (what) => Number((await database.query(name, `SELECT count(*) AS n FROM ${what}`))[0].n);

        beforeEach(async () => {
            await database.run(name, `INSERT INTO company (id, name) VALUES ('${company}', 'Waits') ON CONFLICT DO NOTHING; DELETE FROM deferred; DELETE FROM dead_letter;
                ${put('projects', 'turn', id(1))} ${put('webhooks', 'retry', id(2))} ${put('webhooks', 'schedule', id(3))}
                ${die('projects', id(4))} ${die('webhooks', id(5))} ${die('webhooks', id(6), "now() - interval '400 days'")}`);
        });

        test('test_rows_when_a_pool_looks_then_it_sees_its_own_and_a_worker_of_before_sees_all', async () => {
            for (const table of ['deferred', 'dead_letter']) {
                assert.equal(await seen('cortex_projects', table), 'projects', table);
                assert.equal(await seen('cortex_webhooks', table), 'webhooks', table);
                assert.equal(await seen('cortex_worker', table), 'projects webhooks', table);
                for (const change of [`DELETE FROM ${table}`, `UPDATE ${table} SET attempts = 7`]) await as('cortex_projects', `${change} WHERE pool = 'webhooks';`);
                assert.equal(await count(`${table} WHERE pool = 'webhooks' AND attempts = 0`), 2, table);
                await assert.rejects(as('cortex_projects', `UPDATE ${table} SET pool = 'webhooks';`), /row-level security/);
            }
            await assert.rejects(as('cortex_projects', 'SELECT body FROM deferred_head;'), /"body" does not exist/);
            await assert.rejects(as('cortex_projects', 'SELECT body FROM dead_letter_head;'), /"body" does not exist/);
        });

        test('test_rows_when_a_pool_puts_them_then_those_of_schedules_may_be_anybodys', async () => {
            await as('cortex_projects', put('projects', 'turn', id(11)) + put('webhooks', 'schedule', id(12)) + die('projects', id(13)));
            await as('cortex_worker', put('webhooks', 'turn', id(14)));
            for (const row of [put('webhooks', 'turn', id(15)), put('webhooks', 'retry', id(16)), die('webhooks', id(17))])
                await assert.rejects(as('cortex_projects', row), /row-level security/);
        });

        test('test_rows_of_another_pool_when_operators_replay_drop_and_cancel_then_any_pool_does_it', async () => {
            const letter = async (command) => (await database.query(name, `SELECT id FROM dead_letter WHERE command_id = '${id(command)}'`))[0].id;
            const taken = "dead_letter_take('webhooks', NULL, NULL, NULL, NULL, now() + interval '1 hour', true, 10)";
            assert.match(await as('cortex_projects', `SELECT 'taken ' || count(*) FROM ${taken};`), /taken 2/);
            await as('cortex_projects', `SELECT dead_letter_replay(ARRAY['${await letter(5)}'::uuid], NULL, NULL);`);
            assert.equal(await count(`deferred WHERE pool = 'webhooks' AND command_id = '${id(5)}' AND is_replay`), 1);
            await as('cortex_projects', `SELECT dead_letter_drop(ARRAY['${await letter(6)}'::uuid]);`);
            assert.equal(await count(`dead_letter WHERE command_id = '${id(6)}'`), 0);
            await as('cortex_projects', `UPDATE operation SET cancel_asked = true, updated_at = now() WHERE company_id = '${company}' AND id = '${id(3)}';`);
            assert.equal(await count(`deferred WHERE command_id = '${id(3)}'`), 0);
            assert.equal(await count(`inbox WHERE command_id = '${id(3)}' AND status = 'cancelled'`), 1);
        });

        test('test_dead_letters_when_they_are_old_then_those_of_every_pool_go', async () => {
            await as('cortex_projects', 'SELECT dead_letter_expire(90, 100);');
            assert.deepEqual((await database.query(name, 'SELECT command_id FROM dead_letter ORDER BY command_id')).map((row) => row.command_id), [id(4), id(5)]);
        });

        // The statements of workers/engine (deferred.c, backlog.c, scan.c) as far as they find rows. A policy that kept a condition from an index
        // would make another plan of them than that of a role whose policy lets everything through.
        test('test_plans_when_a_pool_looks_for_what_waits_then_they_are_those_of_a_role_that_sees_all', async () => {
            await database.run(name, `INSERT INTO deferred (company_id, command_id, pool, slot, reason, due_at, type, actor, role, fingerprint, body)
                SELECT md5((n % 500)::text)::uuid, gen_random_uuid(), CASE WHEN n % 3 = 0 THEN 'projects' ELSE 'webhooks' END, n % 64,
                       CASE WHEN n % 2 = 0 THEN 'turn' ELSE 'retry' END, now() + n * interval '1 s', 'x.create', '${company}', 'viewer', 1, 'x'
                  FROM generate_series(1, 20000) AS n; ANALYZE deferred;`);
            const statements = [
                `DELETE FROM deferred AS d USING unnest(ARRAY['${company}']::uuid[], ARRAY['${id(1)}']::uuid[]) AS k (company_id, command_id)
                  WHERE d.company_id = k.company_id AND d.command_id = k.command_id`,
                `SELECT * FROM deferred WHERE pool = 'projects' AND reason <> 'turn' AND due_at <= now() AND slot % 8 = ANY ('{1,2}'::integer[])
                  AND command_id <> ALL ('{}'::uuid[]) ORDER BY due_at LIMIT 100 FOR UPDATE SKIP LOCKED`,
                `SELECT company_id, slot FROM deferred WHERE pool = 'projects' AND reason = 'turn' AND company_id > '${company}' ORDER BY company_id, place LIMIT 1`,
                `SELECT d.* FROM unnest(ARRAY['${company}']::uuid[], ARRAY[0]::bigint[]) AS k (company_id, place) CROSS JOIN LATERAL (SELECT * FROM deferred AS d
                  WHERE d.pool = 'projects' AND d.reason = 'turn' AND d.company_id = k.company_id AND d.place > k.place ORDER BY d.place LIMIT 100) AS d`,
                `SELECT count(*), sum(octets) FROM deferred_head WHERE company_id = '${company}' AND reason = 'schedule'`,
            ];
            const plan = async (role, statement) => (await as(role, `EXPLAIN (COSTS OFF) ${statement};`)).split('\n')
                .map((line) => line.match(/(->.*|^ *\w.* on deferred.*|Index Cond: .*)/)?.[0].trim()).filter(Boolean);
            for (const statement of statements) {
                const all = await plan('cortex_worker', statement);
                assert.ok(all.some((line) => /Index (Only )?Scan/.test(line)), `${statement}\n${all.join('\n')}`);
                assert.deepEqual(await plan('cortex_projects', statement), all, statement);
            }
        });
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
