// The database refuses: raised by triggers where a real server would need a real disaster, and by a second session for the deadlock.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';
import { logged, ordeal } from './ordeal.mjs';

export function database(shared) {
    const failures = (sqlstate) => logged(shared.stack.worker, new RegExp(`"event":"batch.statement_failed"[^\\n]*"sqlstate":"${sqlstate}"`, 'g'));

    // A trigger of these tables does `body`; n counts its runs, also those that are rolled back.
    async function trigger(tables, body) {
        await shared.stack.run(`CREATE SEQUENCE test_runs; GRANT USAGE ON test_runs TO PUBLIC;
            CREATE FUNCTION test_fault() RETURNS trigger LANGUAGE plpgsql AS $$
                DECLARE n bigint := nextval('public.test_runs');
                BEGIN ${body}; RETURN NULL; END $$;
            ${tables.map((table) => `CREATE TRIGGER test_fault AFTER INSERT ON ${table} EXECUTE FUNCTION test_fault();`).join('\n')}`);
        return () => shared.stack.run(`DROP FUNCTION test_fault() CASCADE; DROP SEQUENCE test_runs`);
    }

    describe('database', () => {
        test('test_batch_when_it_deadlocks_with_another_session_then_it_is_run_again', async (t) => {
            const before = failures('40P01');
            await ordeal(shared, t, 'deadlock', async (ids) => {
                const lock = (id) => `SELECT seq FROM company_sequence WHERE company_id = '${id}' FOR UPDATE;`;
                for (let tries = 0; failures('40P01') === before; tries++) {
                    assert.ok(tries < 20, 'a batch never was the victim');
                    // Batches lock in the order of the ids: this one locks the last first. The batch, which waits longer, finds the deadlock.
                    await shared.stack.run(`BEGIN; ${lock(ids.at(-1))} SELECT pg_sleep(0.5);
                        ${ids.slice(0, -1).map(lock).join(' ')} COMMIT;`).catch(() => {});
                }
            });
        });

        test('test_batch_when_it_cannot_be_serialized_then_it_is_run_again', async (t) => {
            const before = failures('40001');
            await ordeal(shared, t, 'serialization failures', async () => {
                const end = await trigger(['project'], `IF n % 10 = 0 THEN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF`);
                await until(() => failures('40001') >= before + 5, 30_000, 'five failures');
                await end();
            });
        });
    });
}
