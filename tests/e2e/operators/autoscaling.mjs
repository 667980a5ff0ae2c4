// A pool whose size follows what waits. It is off until somebody gives it bounds, here by PUT; the settings of the stack make it quick.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { expectProblem, expectStatus, pointersOf } from '../api/expect.mjs';
import { isDrained, expectOneEffectEach } from '../../lib/effects.mjs';
import { Load } from '../../lib/load.mjs';
import { until } from '../../lib/process.mjs';

const COMPANIES = 6;
const POOL = '/v1/admin/pools/projects';

export function autoscaling(shared) {
    const operatorOf = ({ stack }) => stack.client({ role: 'super_admin' });
    const sizes = () => [...shared.stack.worker.tail(Infinity).matchAll(/"event":"manager.size","wanted":(\d+),[^\n]*"why":"(depth|age|calm)"/g)]
        .map(([, wanted, why]) => ({ wanted: Number(wanted), why }));

    // Each create takes its time in the database, so that what comes in at once has to wait.
    async function slowly(work) {
        const { stack } = shared;
        await stack.run(`CREATE FUNCTION test_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END';
            CREATE TRIGGER test_slow BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION test_slow()`);
        try {
            return await work();
        } finally {
            await stack.run('DROP TRIGGER test_slow ON project; DROP FUNCTION test_slow()');
        }
    }

    describe('autoscaling', () => {
        test('test_pool_when_more_waits_and_then_little_then_it_grows_and_shrinks_and_nothing_is_lost', async (t) => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const size = async () => (await operator.get(POOL)).body;
            expectStatus(await operator.put(POOL, { wanted: 1, min: 1, max: 3 }), 200);
            const ids = [];
            for (let i = 0; i < COMPANIES; i++) ids.push(await stack.addCompany());
            const loads = ids.map((id) => new Load(stack, id, { connections: 4, headers: { prefer: 'respond-async' } }));
            const begun = performance.now();
            await slowly(async () => {
                loads.forEach((load) => load.start());
                await until(async () => (await size()).wanted === 3, 60_000, 'three workers');
                await Promise.all(loads.map((load) => load.stop()));
            });
            const grown = performance.now();
            const most = await size();
            assert.ok(['depth', 'age'].includes(most.why), most.why);
            assert.deepEqual(most.autoscale, { min: 1, max: 3 });
            await until(async () => (await size()).wanted === 1, 60_000, 'one worker');
            const shrunk = performance.now();
            assert.equal((await size()).why, 'calm');
            await until(() => isDrained(stack), 60_000, 'the queues to be empty');
            for (const [i, load] of loads.entries()) await expectOneEffectEach(stack, ids[i], load.accepted);
            const path = sizes().map(({ wanted, why }) => `${wanted} (${why})`);
            t.diagnostic(`1 → ${path.join(' → ')}: grown after ${Math.round(grown - begun)} ms, back after ${Math.round(shrunk - grown)} ms, `
                + `${loads.flatMap((load) => load.accepted).length} commands`);
        });

        test('test_size_when_an_operator_sets_it_then_it_holds_now_and_is_followed_from_there', async () => {
            const operator = operatorOf(shared);
            expectStatus(await operator.put(POOL, { min: 1, max: 3 }), 200);
            const answer = expectStatus(await operator.put(POOL, { wanted: 3 }), 200);
            assert.deepEqual([answer.body.wanted, answer.body.why], [3, 'request']);
            await until(async () => (await operator.get(POOL)).body.wanted === 1, 60_000, 'one worker');
            assert.deepEqual(pointersOf(expectProblem(await operator.put(POOL, { wanted: 4 }), 422, 'validation')), ['/wanted']);
            assert.deepEqual(pointersOf(expectProblem(await operator.put(POOL, { min: 4 }), 422, 'validation')), ['/min']);
            assert.deepEqual(pointersOf(expectProblem(await operator.put(POOL, { max: 257 }), 422, 'validation')), ['/max']);
            const off = expectStatus(await operator.put(POOL, { max: 0 }), 200);
            assert.deepEqual([off.body.autoscale, off.body.wanted], [null, 1]);
            expectStatus(await operator.put(POOL, { wanted: 4 }), 200);
            expectStatus(await operator.put(POOL, { wanted: 1 }), 200);
        });
    });
}
