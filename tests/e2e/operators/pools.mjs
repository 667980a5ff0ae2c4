// The size of a pool, and what bounds the questions of operators.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import amqp from 'amqplib';

import { expectProblem, expectStatus, pointersOf } from '../api/expect.mjs';
import { Described } from '../../lib/described.mjs';
import { until } from '../../lib/process.mjs';

export function pools(shared) {
    const operatorOf = ({ stack }) => stack.client({ role: 'super_admin' });

    describe('pools', () => {
        test('test_pool_when_resized_then_so_many_workers_are_ready', async () => {
            const operator = operatorOf(shared);
            const readyOf = (pool) => pool.managers.flatMap(({ workers }) => workers).filter(({ state }) => state === 'ready').length;
            for (const wanted of [3, 1]) {
                expectStatus(await operator.put('/v1/admin/pools/projects', { wanted }), 200);
                await until(async () => {
                    const { body } = await operator.get('/v1/admin/pools/projects');
                    return body.wanted === wanted && readyOf(body) === wanted;
                }, 30_000, `${wanted} workers`);
            }
        });

        test('test_pool_when_the_size_is_out_of_bounds_then_422_with_pointers', async () => {
            const operator = operatorOf(shared);
            for (const body of [{ wanted: 0 }, { wanted: 257 }, { wanted: '3' }, {}])
                assert.deepEqual(pointersOf(expectProblem(await operator.put('/v1/admin/pools/projects', body), 422, 'validation')), ['/wanted']);
            expectProblem(await operator.get('/v1/admin/pools/nobody'), 404, 'not-found');
            expectProblem(await operator.put('/v1/admin/pools/nobody', { wanted: 1 }), 404, 'not-found');
            for (const [body, at] of [[{ wanted: 9 }, '/wanted'], [{ min: 1, max: 99 }, '/max']]) {
                const refused = expectProblem(await operator.put('/v1/admin/pools/projects', body), 422, 'validation');
                assert.deepEqual(pointersOf(refused), [at]);
                assert.match(refused.body.errors[0].detail, /more than 8: the pool has so many partitions/);
            }
        });

        test('test_pool_with_conditions_then_only_the_size_that_was_read_is_changed', async () => {
            const operator = operatorOf(shared);
            const path = '/v1/admin/pools/projects';
            const put = (wanted, headers) => operator.put(path, { wanted }, headers);
            const { etag } = expectStatus(await operator.get(path), 200).headers;
            expectProblem(await put(2, { 'if-none-match': '*' }), 412, 'version-conflict');
            expectProblem(await put(2, { 'if-none-match': `"x", W/${etag}` }), 412, 'version-conflict');
            expectProblem(await put(2, { 'if-match': '"1", "2.x"' }), 412, 'version-conflict');
            expectProblem(await put(2, { 'if-match': `W/${etag}` }), 412, 'version-conflict');
            expectProblem(await put(2, { 'if-match': 'x' }), 400, 'bad-request');
            assert.equal(expectStatus(await operator.get(path), 200).body.wanted, 1);
            const resized = expectStatus(await put(2, { 'if-match': `"1", ${etag}` }), 200);
            assert.equal(resized.body.wanted, 2);
            const stale = expectProblem(await put(1, { 'if-match': etag }), 412, 'version-conflict');
            const bounded = expectStatus(await operator.put(path, { min: 1, max: 4 }, { 'if-match': stale.headers.etag, 'if-none-match': etag }), 200);
            expectProblem(await put(1, { 'if-match': stale.headers.etag }), 412, 'version-conflict');
            expectStatus(await operator.put(path, { wanted: 1, max: 0 }, { 'if-match': bounded.headers.etag }), 200);
        });

        test('test_pool_when_two_operators_change_what_they_read_at_once_then_one_of_them_does', async () => {
            const operator = operatorOf(shared);
            const path = '/v1/admin/pools/projects';
            for (let i = 0; i < 5; i++) {
                const { etag } = expectStatus(await operator.get(path), 200).headers;
                const answers = await Promise.all([1, 1].map(wanted => operator.put(path, { wanted }, { 'if-match': etag })));
                assert.deepEqual(answers.map(answer => answer.status).sort(), [200, 412]);
            }
        });

        test('test_pools_when_listed_then_each_says_what_waits_and_what_each_worker_holds', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const row = (reason, n) => `('${stack.company}', gen_random_uuid(), 'projects', 1, '${reason}', now() + interval '1 day', 'project.create', gen_random_uuid(), 'x', ${n}, '')`;
            const columns = 'company_id, command_id, pool, slot, reason, due_at, type, actor, role, fingerprint, body';
            await stack.run(`INSERT INTO deferred (${columns}) VALUES ${row('retry', 1)}, ${row('schedule', 2)}, ${row('schedule', 3)}`);
            const pool = await until(async () => {
                const [found] = expectStatus(await operator.get('/v1/admin/pools'), 200).body.data;
                return found.managers[0].workers[0].partitions?.length === 8 && found;
            }, 30_000, 'the worker to hold every partition');
            assert.deepEqual([pool.name, pool.wanted, pool.autoscale], ['projects', 1, null]);
            assert.deepEqual({ ...pool.deferred }, { parked: 0, retry: 1, scheduled: 2 });
            assert.equal(pool.dead_letters, (await stack.query('SELECT count(*) AS dead_letters FROM dead_letter'))[0].dead_letters);
            assert.deepEqual(Object.keys(pool.waiting), ['ready', 'open', 'parked', 'oldest_ms']);
            const [worker] = pool.managers[0].workers;
            assert.deepEqual([worker.state, worker.partitions, worker.open], ['ready', [0, 1, 2, 3, 4, 5, 6, 7], 0]);
            const one = expectStatus(await operator.get('/v1/admin/pools/projects'), 200).body;
            assert.deepEqual(Object.keys(one), Object.keys(pool));
            await stack.run("DELETE FROM deferred WHERE role = 'x'");
        });

        test('test_pools_when_no_process_runs_then_the_list_still_says_what_waits', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            await stack.worker.kill();
            const pool = await until(async () => {
                const [found] = expectStatus(await operator.get('/v1/admin/pools'), 200).body.data;
                return found.wanted === null && found;
            }, 30_000, 'the pool to be gone');
            assert.deepEqual([pool.managers, pool.waiting, pool.deferred], [[], null, { parked: 0, retry: 0, scheduled: 0 }]);
            await stack.worker.start();
            await until(async () => (await operator.get('/v1/admin/pools')).body.data[0].wanted === 1, 30_000, 'the pool to be back');
        });

        test('test_another_pool_when_it_runs_then_it_is_listed_resized_and_carries_out_what_the_first_is_away_for', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const letter = randomUUID();
            const webhooks = await stack.addWorker(undefined, 'webhooks');
            const shown = async (path) => (await operator.get(path)).body;
            const ready = (pool, count) => pool.managers?.flatMap(({ workers }) => workers).filter(({ state }) => state === 'ready').length === count;
            await until(async () => ready(await shown('/v1/admin/pools/webhooks'), 1), 30_000, 'the other pool');
            expectStatus(await operator.put('/v1/admin/pools/webhooks', { wanted: 2 }), 200);
            await until(async () => {
                const { data } = await shown('/v1/admin/pools');
                return data.map(({ name, wanted }) => `${name} ${wanted}`).join() === 'projects 1,webhooks 2' && ready(data[1], 2);
            }, 30_000, 'both pools in the list');
            await stack.run(`INSERT INTO dead_letter (id, pool, company_id, command_id, slot, reason, type, body)
                VALUES ('${letter}', 'projects', '${stack.company}', gen_random_uuid(), 0, 'poison', 'project.create', '')`);
            await stack.worker.kill();
            await until(async () => (await operator.delete(`/v1/admin/dead-letters/${letter}`)).status < 300, 30_000, 'the letter to be dropped');
            await stack.worker.start();
            await webhooks.stop();
            await until(async () => (await shown('/v1/admin/pools')).data[0].wanted === 1, 30_000, 'the first pool to be back');
        });

        test('test_pool_when_it_has_a_feed_then_it_says_how_far_that_is_and_what_was_dropped_of_whom', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const described = new Described((await operator.get('/openapi.json')).body);
            const [behind, passed] = await stack.addCompanies(2);
            assert.equal((await operator.get('/v1/admin/pools')).body.data[1].feed, null);
            await stack.run(`UPDATE company_sequence SET seq = 9 WHERE company_id IN ('${behind}', '${passed}');
                INSERT INTO feed (company_id, pool, seq, dropped, dropped_at) VALUES ('${behind}', 'webhooks', 2, 0, NULL),
                    ('${passed}', 'webhooks', 9, 5, '2026-01-02T03:04:05Z')`);
            const answer = await operator.get('/v1/admin/pools');
            described.expect('listPools', answer);
            assert.deepEqual(answer.body.data.map(({ feed }) => feed), [null, {
                companies: 2, behind: 7, dropped: 5, dropped_of: [{ company: passed, events: 5, at: '2026-01-02T03:04:05.000000Z' }] }]);
            await stack.run('DELETE FROM feed');
        });

        // A queue that nobody reads stands for a manager that does not answer.
        test('test_question_when_nobody_answers_then_503_in_time_and_more_than_may_wait_at_once', async () => {
            const { stack } = shared;
            const connection = await amqp.connect(stack.amqpUrl);
            const channel = await connection.createChannel();
            const { queue } = await channel.assertQueue('', { exclusive: true });
            await channel.bindQueue(queue, 'control', 'manager.mute');
            const operator = operatorOf(shared);
            const begun = performance.now();
            const answers = await Promise.all(Array.from({ length: 12 }, async () => {
                const answer = await operator.get('/v1/admin/pools/mute');
                return [answer.body.type, performance.now() - begun >= shared.adminWaitMs - 50];
            }));
            await connection.close();
            const late = answers.filter(([type]) => type === '/problems/timeout');
            const refused = answers.filter(([type]) => type === '/problems/broker-busy');
            assert.equal(late.length + refused.length, answers.length);
            assert.ok(late.length >= 1 && late.length <= 2 * shared.adminPendingMax, `${late.length} waited`);
            assert.ok(late.every(([, inTime]) => inTime));
        });
    });
}
