// Dead letters that are replayed: each fails again, and its history says so, or it is done and gone, whichever process is killed meanwhile.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { expectProblem, expectStatus } from '../api/expect.mjs';
import { sleep, until } from '../../lib/process.mjs';
import { addLetter } from './dead_letters.mjs';

export function replay(shared) {
    // While it is set, creating a project of the company fails in the database.
    async function setTrap({ stack }, company) {
        const name = `trap_${company.replaceAll('-', '')}`;
        await stack.run(`CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.company_id = '${company}' THEN RAISE EXCEPTION 'trapped'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER ${name} BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION ${name}()`);
        return () => stack.run(`DROP FUNCTION ${name}() CASCADE`);
    }

    const operatorOf = ({ stack }) => stack.client({ role: 'super_admin' });
    const deadLettersOf = async (company) =>
        expectStatus(await operatorOf(shared).get(`/v1/admin/dead-letters?company=${company}&limit=200`), 200).body.data;

    describe('replay', () => {
        test('test_replay_when_it_fails_again_then_it_is_back_with_its_history_and_when_it_succeeds_gone', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            const api = stack.client({ company });
            const disarm = await setTrap(shared, company);
            expectProblem(await api.post('/v1/projects', { name: 'Trapped' }), 500, 'database-error');
            const [deadLetter] = await deadLettersOf(company);
            assert.deepEqual([deadLetter.reason, deadLetter.attempts, deadLetter.replays], ['database-error', 1, 0]);
            assert.match(deadLetter.detail, /trapped/);

            expectStatus(await operator.post(`/v1/admin/dead-letters/${deadLetter.id}/replay`), 200);
            const again = await until(async () => {
                const { body } = await operator.get(`/v1/admin/dead-letters/${deadLetter.id}`);
                return body.history?.length === 1 && !body.is_replaying && body;
            }, 20_000, 'the dead letter to be back');
            assert.equal(again.replays, 1);
            assert.equal(again.history[0].reason, 'database-error');
            assert.equal(again.history[0].at, deadLetter.last_at);
            assert.equal(again.first_at, deadLetter.first_at);
            assert.ok(again.last_at > deadLetter.last_at);

            await disarm();
            expectStatus(await operator.post('/v1/admin/dead-letters/replay', { company }), 200);
            await until(async () => (await deadLettersOf(company)).length === 0, 20_000, 'the dead letter to go');
            const { data } = expectStatus(await api.get('/v1/projects'), 200).body;
            assert.deepEqual(data.map(({ id, name }) => [id, name]), [[deadLetter.command, 'Trapped']]);
            const operation = expectStatus(await api.get(`/v1/operations/${deadLetter.command}`), 200).body;
            assert.equal(operation.status, 'succeeded');
        });

        test('test_replay_of_those_since_a_time_or_of_a_type_then_the_others_stay_dead', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            for (let day = 1; day <= 5; day++)
                await addLetter(stack, company, `Day ${day}`, { at: `2026-01-0${day}T00:00:00Z`, type: day === 2 ? 'export.create' : 'project.create' });
            const replayed = async (which) => expectStatus(await operator.post('/v1/admin/dead-letters/replay', { company, ...which }), 200).body.count;
            const left = (count) => until(async () => {
                const deadLetters = await deadLettersOf(company);
                return deadLetters.length === count && deadLetters;
            }, 20_000, `${count} dead letters to be left`);
            const done = async () => (await stack.query(`SELECT name FROM project WHERE company_id = '${company}' ORDER BY name`)).map(({ name }) => name);

            assert.equal(await replayed({ since: '2026-01-04T00:00:00Z' }), 2);
            const older = await left(3);
            assert.deepEqual(older.map(({ replays }) => replays), [0, 0, 0]);
            assert.deepEqual(await done(), ['Day 4', 'Day 5']);
            assert.equal(await replayed({ type: 'project.create' }), 2);
            const [last] = await left(1);
            assert.deepEqual([last.type, last.replays], ['export.create', 0]);
            assert.deepEqual(await done(), ['Day 1', 'Day 3', 'Day 4', 'Day 5']);
        });

        test('test_replay_when_its_worker_or_its_server_process_dies_while_dead_letters_are_replayed_then_all_are_or_none', async () => {
            const COUNT = 20;
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            for (let i = 0; i < COUNT; i++) await addLetter(stack, company, `Moved ${i}`);
            await stack.run(`CREATE FUNCTION slow_move() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF NEW.company_id = '${company}' THEN PERFORM pg_sleep(0.1); END IF; RETURN NEW; END $$;
                CREATE TRIGGER slow_move BEFORE INSERT ON deferred FOR EACH ROW EXECUTE FUNCTION slow_move()`);
            const moving = "FROM pg_stat_activity WHERE usename = 'cortex_projects' AND query LIKE 'WITH q AS%' AND wait_event = 'PgSleep'";
            const isMoving = async () => (await stack.query(`SELECT pid ${moving}`)).length > 0;
            const begin = async () => {
                void operator.post('/v1/admin/dead-letters/replay', { company }).catch(() => {});
                await until(isMoving, 20_000, 'dead letters to be moved');
            };
            const counts = async () => (await stack.query(`SELECT count(*) AS dead_letters, count(*) FILTER (WHERE is_replaying) AS replaying,
                (SELECT count(*) FROM deferred WHERE company_id = '${company}') AS waiting FROM dead_letter WHERE company_id = '${company}'`))[0];

            await begin();
            await stack.run(`SELECT pg_terminate_backend(pid) ${moving}`);
            await until(async () => !(await isMoving()), 20_000, 'the move to end');
            assert.deepEqual(await counts(), { dead_letters: COUNT, replaying: 0, waiting: 0 });

            await until(async () => (await operator.post('/v1/admin/dead-letters/replay', { type: 'nothing.known' })).status === 200, 30_000, 'a worker that answers');
            await begin();
            await stack.worker.kill();
            await until(async () => !(await isMoving()), 20_000, 'the move to end');
            const { dead_letters: deadLetters, replaying, waiting } = await counts();
            assert.equal(deadLetters, COUNT);
            assert.ok(replaying === 0 || replaying === COUNT, `${replaying} are being replayed`);
            assert.equal(waiting, replaying);

            await stack.run('DROP FUNCTION slow_move() CASCADE');
            await stack.worker.start();
            await until(async () => (await operator.post('/v1/admin/dead-letters/replay', { company })).status === 200, 30_000, 'a worker that answers');
            await until(async () => (await counts()).dead_letters === 0, 30_000, 'every dead letter to go');
            const names = await stack.query(`SELECT data ->> 'name' AS name FROM events WHERE company_id = '${company}' ORDER BY name`);
            assert.deepEqual(names.map(({ name }) => name), Array.from({ length: COUNT }, (_, i) => `Moved ${i}`).sort());
        });

        test('test_replay_of_many_when_workers_are_killed_in_the_middle_then_each_is_done_once', async (t) => {
            const COUNT = 60, ROUNDS = 6;
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            const api = stack.client({ company });
            const disarm = await setTrap(shared, company);
            await Promise.all(Array.from({ length: COUNT }, (_, i) => api.post('/v1/projects', { name: `Trapped ${i}` })));
            assert.equal((await deadLettersOf(company)).length, COUNT);
            await disarm();
            for (let round = 0; round < ROUNDS; round++) {
                void operator.post('/v1/admin/dead-letters/replay', { company, limit: COUNT / ROUNDS }).catch(() => {});
                await sleep(5 * round); // before it is asked, while it moves, while its commands run
                await stack.worker.kill();
                await stack.worker.start();
            }
            await until(async () => (await operator.post('/v1/admin/dead-letters/replay', { company })).status === 200, 30_000, 'a worker that answers');
            await until(async () => (await deadLettersOf(company)).length === 0, 60_000, 'every dead letter to go');
            const [counts] = await stack.query(`SELECT
                (SELECT count(*) FROM project WHERE company_id = '${company}') AS projects,
                (SELECT count(DISTINCT name) FROM project WHERE company_id = '${company}') AS names,
                (SELECT count(*) FROM events WHERE company_id = '${company}') AS events,
                (SELECT count(*) FROM deferred WHERE company_id = '${company}') AS deferred,
                (SELECT seq FROM company_sequence WHERE company_id = '${company}') AS seq`);
            assert.deepEqual(counts, { projects: COUNT, names: COUNT, events: COUNT, deferred: 0, seq: COUNT });
            t.diagnostic(`${ROUNDS} pools killed`);
        });
    });
}
