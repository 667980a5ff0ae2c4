// The database refuses statements. Triggers raise the errors for which a real server would need a real disaster; a second session holds the
// locks.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';
import { logged, ordeal } from './ordeal.mjs';

export function database(shared) {
    const failures = (sqlstate) => logged(shared.stack.worker, new RegExp(`"event":"batch.statement_failed"[^\\n]*"sqlstate":"${sqlstate}"`, 'g'));

    // A trigger of these tables does `body`, for each statement or for `which` rows; n counts its runs, also those that are rolled back.
    async function trigger(tables, body, which = '') {
        await shared.stack.run(`CREATE SEQUENCE test_runs; GRANT USAGE ON test_runs TO PUBLIC;
            CREATE FUNCTION test_fault() RETURNS trigger LANGUAGE plpgsql AS $$
                DECLARE n bigint := nextval('public.test_runs');
                BEGIN ${body}; RETURN NULL; END $$;
            ${tables.map((table) => `CREATE TRIGGER test_fault AFTER INSERT ON ${table} ${which} EXECUTE FUNCTION test_fault();`).join('\n')}`);
        return () => shared.stack.run(`DROP FUNCTION test_fault() CASCADE; DROP SEQUENCE test_runs`);
    }

    describe('database', () => {
        // A batch waits for nobody's sequence, so the other session gets what it wants, in whatever order it asks.
        test('test_batch_when_another_session_locks_the_other_way_round_then_neither_is_the_victim_of_a_deadlock', async (t) => {
            const before = failures('40P01');
            await ordeal(shared, t, 'locks the other way round', async (ids) => {
                const lock = (id) => `SELECT seq FROM company_sequence WHERE company_id = '${id}' FOR UPDATE;`;
                for (let i = 0; i < 5; i++)
                    await shared.stack.run(`BEGIN; ${lock(ids.at(-1))} SELECT pg_sleep(0.5);
                        ${ids.slice(0, -1).map(lock).join(' ')} COMMIT;`);
            });
            assert.equal(failures('40P01'), before);
        });

        test('test_batch_when_it_cannot_be_serialized_then_it_is_run_again', async (t) => {
            const before = failures('40001');
            await ordeal(shared, t, 'serialization failures', async () => {
                const end = await trigger(['project'], `IF n % 10 = 0 THEN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF`);
                await until(() => failures('40001') >= before + 5, 30_000, 'five failures');
                await end();
            });
        });

        // Twice: a command that runs out of its three tries in place would be put off, and its company would go on without it.
        test('test_statement_when_it_takes_too_long_then_it_is_run_again', async (t) => {
            const before = failures('57014');
            await ordeal(shared, t, 'statement timeouts', async ([slowed]) => {
                const end = await trigger(['project'], 'IF n <= 2 THEN PERFORM pg_sleep(600); END IF',
                    `FOR EACH ROW WHEN (NEW.company_id = '${slowed}')`);
                await until(() => failures('57014') >= before + 2, 30_000, 'two timeouts');
                await end();
            });
        });

        test('test_company_when_it_stays_locked_past_the_timeout_then_it_waits_and_the_others_go_on', async (t) => {
            const { stack } = shared, before = failures('57014'), lines = () => logged(stack.worker, /"event":"company.locked"/g), known = lines();
            await ordeal(shared, t, 'a company that was locked', async ([locked], companies) => {
                const session = stack.run(`BEGIN; SELECT seq FROM company_sequence WHERE company_id = '${locked}' FOR UPDATE;
                    SELECT pg_sleep(600) /* holds it */`);
                const released = assert.rejects(session, /canceling statement/);
                await until(() => lines() > known, 30_000, 'a worker that finds the company locked');
                const begun = performance.now();
                const times = [];
                for (const company of companies.slice(1)) company.probe().then(() => times.push(performance.now() - begun));
                await until(() => times.length === companies.length - 1, 30_000, 'the others to be served');
                assert.equal(failures('57014'), before, 'nobody waits until the statement is cancelled');
                t.diagnostic(`meanwhile the others waited ${Math.round(Math.max(...times))} ms at most`);
                await stack.run("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%/* holds it */' AND state = 'active'");
                await released;
            });
        });

        test('test_disk_when_full_for_a_while_then_all_wait_and_nobody_loses_a_try', async (t) => {
            const before = failures('53100'), troubles = () => logged(shared.stack.worker, /"event":"database.in_trouble"/g), calm = troubles();
            await ordeal(shared, t, 'a full disk', async () => {
                // `probe` first: the disk is full for everybody from the first command on.
                const end = await trigger(['probe', 'inbox', 'events', 'project'],
                    `RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'`);
                await until(() => failures('53100') > before && troubles() >= calm + 5, 90_000, 'the trouble');
                const [{ rows }] = await shared.stack.query('SELECT count(*) AS rows FROM deferred');
                assert.equal(rows, 0, 'nobody was put off');
                await end();
            });
        });
    });
}
