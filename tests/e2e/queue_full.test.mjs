// A partition's queue that is full refuses more commands (reject-publish): its companies get 503, others notice nothing, and what was
// accepted is done.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { expectProblem } from './api/expect.mjs';
import { until } from './../lib/process.mjs';
import { startStack } from './../lib/stack.mjs';

const settings = { CORTEX_QUEUE_MAX_LENGTH: '5' };
const ENOUGH = 500; // the bound of a quorum queue is soft: some more pass before the first refusal

let stack;
before(async () => {
    stack = await startStack('queue_full', { gateway: settings, worker: settings });
});
after(() => stack?.stop());

// Sends commands whose results nobody waits for until one is refused. → { accepted, refused }
async function fillQueue(api, most, project) {
    let accepted = 0, refused;
    while (!refused && accepted < most) {
        const answer = await api.post('/v1/projects', project(accepted), { prefer: 'respond-async' });
        if (answer.status === 202) accepted++;
        else refused = answer;
    }
    return { accepted, refused };
}

describe('queue full', () => {
    test('test_queue_when_full_then_503_and_what_was_accepted_is_done', async (t) => {
        const company = await stack.addCompany();
        const api = stack.client({ company });
        await stack.worker.kill();
        const { accepted, refused } = await fillQueue(api, ENOUGH, (n) => ({ name: `Waiting ${n}` }));
        expectProblem(refused, 503, 'queue-full');
        assert.ok(Number(refused.headers['retry-after']) >= 1);
        assert.ok(accepted >= 5);
        await stack.worker.start();
        const begun = performance.now(), since = () => Math.round(performance.now() - begun);
        const count = async () => (await stack.query(`SELECT count(*) AS rows FROM project WHERE company_id = '${company}'
            AND name LIKE 'Waiting %'`))[0].rows;
        const [written, done] = await Promise.all([
            until(async () => (await api.post('/v1/projects', { name: 'After' })).status === 201, 30_000, 'a write').then(since),
            until(async () => (await count()) >= accepted, 30_000, 'every accepted command').then(since),
        ]);
        t.diagnostic(`${accepted} accepted before the first refusal; from then on that workers are there, a write is answered after ${written} ms, ` +
            `all is done after ${done} ms`);
        assert.equal(await count(), accepted);
    });

    test('test_queue_when_full_by_bytes_then_503_though_few_commands_wait', async (t) => {
        const bytes = { CORTEX_QUEUE_MAX_BYTES: '100k' };
        const large = await startStack('queue_full_by_bytes', { gateway: bytes, worker: bytes });
        try {
            await large.worker.kill();
            const { accepted, refused } = await fillQueue(large.client(), ENOUGH, (n) => ({ name: `Waiting ${n}`, description: 'x'.repeat(4000) }));
            expectProblem(refused, 503, 'queue-full');
            t.diagnostic(`${accepted} commands of 4 kB accepted`);
            assert.ok(accepted >= 20 && accepted < ENOUGH / 2, `${accepted}`);
            await large.worker.start();
            await until(async () => (await large.client().post('/v1/projects', { name: 'After' })).status === 201, 30_000, 'a write');
        } finally {
            await large.stop();
        }
    });
});
