// The size of a pool, and what bounds the questions of operators.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import amqp from 'amqplib';

import { expectProblem, expectStatus, pointersOf } from '../api/expect.mjs';
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
            expectProblem(await operator.get('/v1/admin/pools/nobody'), 503, 'unroutable');
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
