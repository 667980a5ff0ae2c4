// A schedule is due every second, and the process that claimed its last time is killed again and again; then all processes are away for some
// seconds. Each planned time has one command, and each command has one effect.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { expectStatus } from '../e2e/api/expect.mjs';
import { slot } from '../lib/partition.mjs';
import { sleep, until } from '../lib/process.mjs';
import { size, within } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const SECONDS = size(200);
const AWAY_MS = 3000;
const NAMES = ['one', 'two', 'three'];
const MANY = size(100_000); // schedules that are due at one minute
const COMPANIES = 20;
const MANY_WITHIN_MS = 60_000;

let stack;
before(async () => {
    const worker = { CORTEX_WORKER_PROCESSES: '3', CORTEX_CRASH_DEATHS: '1000', CORTEX_SCHEDULE_POLL_MS: '100' };
    stack = await startStack('chaos_schedules', { worker });
});
after(() => stack?.stop());

// What was planned, as it is written down in the transaction that claims it.
async function watchPlans() {
    await stack.run(`CREATE TABLE planned (command_id uuid, due_at timestamptz);
        GRANT INSERT ON planned TO cortex_engine;
        CREATE FUNCTION note_plan() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO planned VALUES (NEW.command_id, NEW.due_at); RETURN NULL; END $$;
        CREATE TRIGGER note_plan AFTER INSERT ON deferred FOR EACH ROW WHEN (NEW.reason = 'schedule') EXECUTE FUNCTION note_plan()`);
}

async function killLastClaimer(killed) {
    const [{ by }] = await stack.query('SELECT last_by AS by FROM schedule WHERE company_id IS NOT NULL ORDER BY last_begun_at DESC NULLS LAST LIMIT 1');
    const pid = Number(by?.split(':').pop());
    if (!pid || killed.has(pid)) return;
    try {
        process.kill(pid, 'SIGKILL');
        killed.add(pid);
    } catch (error) {
        if (error.code !== 'ESRCH') throw error;
    }
}

describe('schedules', () => {
    test('test_schedule_of_every_second_when_who_claims_it_is_killed_then_each_time_is_done_once', async (t) => {
        const operator = stack.client({ role: 'super_admin' });
        await watchPlans();
        const schedules = [];
        for (const name of NAMES) {
            const company = await stack.addCompany(name);
            const schedule = { cron: '* * * * * *', company, type: 'project.create', body: { name } };
            const { body } = expectStatus(await operator.put(`/v1/admin/schedules/${name}`, schedule), 201);
            schedules.push({ name, company, schedule, first: Date.parse(body.next_at) });
        }
        const killed = new Set();
        for (const end = Date.now() + SECONDS * 1000; Date.now() < end;) {
            await killLastClaimer(killed);
            await sleep(300);
        }
        await stack.worker.kill();
        await sleep(AWAY_MS);
        await stack.worker.start();
        await until(async () => (await stack.query(`SELECT count(*) FROM schedule WHERE company_id IS NOT NULL
            AND next_at > now() - interval '2 s'`))[0].count === NAMES.length, 30_000, 'what is late to be made up for');
        for (const { name, schedule } of schedules)
            await until(async () => (await operator.put(`/v1/admin/schedules/${name}`, { ...schedule, enabled: false })).status === 200,
                30_000, 'a worker that answers');
        await until(async () => (await stack.query('SELECT count(*) FROM deferred'))[0].count === 0, within(60_000), 'every command to be done');
        let runs = 0;
        for (const { name, company, first } of schedules) {
            const rows = await stack.query(`SELECT p.command_id, extract(epoch FROM p.due_at)::bigint AS due, count(e.seq)::integer AS effects
                FROM planned AS p JOIN inbox AS i ON i.command_id = p.command_id AND i.company_id = '${company}'
                LEFT JOIN events AS e ON e.company_id = i.company_id AND e.command_id = p.command_id GROUP BY 1, 2 ORDER BY 2`);
            rows.forEach((row, i) => {
                assert.equal(Number(row.due), first / 1000 + i, `${name}: each second, in order, once`);
                assert.equal(row.effects, 1, `${name}: one effect for ${row.due}`);
            });
            const [{ projects, claims }] = await stack.query(`SELECT (SELECT count(*) FROM project WHERE company_id = '${company}') AS projects,
                (SELECT runs FROM schedule WHERE name = '${name}') AS claims`);
            assert.equal(projects, rows.length);
            assert.equal(claims, rows.length);
            assert.ok(rows.length >= SECONDS + AWAY_MS / 1000);
            runs += rows.length;
        }
        assert.ok(killed.size >= SECONDS / 4, `${killed.size} were killed`);
        t.diagnostic(`${runs} planned times of ${NAMES.length} schedules, each done once; ${killed.size} processes killed as they had claimed one, then all`);
    });

    // The processes are those of the test above; its schedules are switched off.
    test('test_many_schedules_due_at_one_minute_when_who_claims_them_is_killed_then_all_begin_within_a_minute_each_once', async (t) => {
        const companies = [];
        for (let i = 0; i < COMPANIES; i++) companies.push(await stack.addCompany(`many ${i}`));
        const slots = companies.map(slot).join(', ');
        const listed = companies.map((company) => `'${company}'::uuid`).join(', ');
        await stack.run(`UPDATE schedule SET enabled = false WHERE company_id IS NOT NULL;
            TRUNCATE planned;
            INSERT INTO schedule (name, company_id, cron, type, pool, slot, actor, role, fingerprint, body, next_at)
            SELECT 'many-' || n, (ARRAY[${listed}])[1 + n % ${COMPANIES}], '0 4 1 1 *', s.type, s.pool, (ARRAY[${slots}])[1 + n % ${COMPANIES}], s.actor, s.role,
                s.fingerprint, s.body, now() + interval '10 s' FROM schedule AS s, generate_series(1, ${MANY}) AS n WHERE s.name = '${NAMES[0]}'`);
        const [{ due }] = await stack.query("SELECT (extract(epoch FROM min(next_at)) * 1000)::bigint AS due FROM schedule WHERE name LIKE 'many-%'");
        const begun = async () => (await stack.query("SELECT count(*) FROM schedule WHERE name LIKE 'many-%' AND runs > 0"))[0].count;
        const killed = new Set();
        while ((await begun()) < MANY) {
            assert.ok(Date.now() < due + MANY_WITHIN_MS, `${await begun()} of ${MANY} had begun after a minute`);
            if (Date.now() > due && killed.size < 5) await killLastClaimer(killed);
            await sleep(200);
        }
        const [{ took }] = await stack.query(`SELECT extract(epoch FROM max(last_begun_at) - min(last_at))::float AS took
            FROM schedule WHERE name LIKE 'many-%'`);
        const [claims] = await stack.query(`SELECT count(*) AS commands, count(DISTINCT command_id) AS different,
            (SELECT sum(runs)::integer FROM schedule WHERE name LIKE 'many-%') AS runs FROM planned`);
        assert.deepEqual(claims, { commands: MANY, different: MANY, runs: MANY });
        await until(async () => (await stack.query('SELECT count(*) FROM deferred'))[0].count === 0, within(120_000), 'every command to be done');
        const [{ projects, effects }] = await stack.query(`SELECT (SELECT count(*) FROM project WHERE company_id IN (${listed})) AS projects,
            (SELECT count(DISTINCT e.command_id) FROM events AS e JOIN planned AS p USING (command_id)) AS effects`);
        assert.deepEqual({ projects, effects }, { projects: MANY, effects: MANY });
        t.diagnostic(`${MANY} schedules of ${COMPANIES} companies, due at one moment, had all begun after ${took.toFixed(1)} s; ${killed.size} processes killed as they had claimed some`);
    });
});
