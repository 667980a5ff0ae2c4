// The database stands still: its processes are stopped in the middle of whatever they do, and connections stay open. Who waits gets an
// answer when the time that he gave is over, not after another time limit of the database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { sleep } from '../lib/process.mjs';

const WAIT_S = 2;
// On an idle machine it is 0.4 s. Without a bound of its own, the look-up at the end takes CORTEX_STATEMENT_TIMEOUT_MS more.
const MORE_S = 5, TIMEOUT_S = 20;

let stack, api;
before(async () => {
    stack = await startStack('hangs', { gateway: { CORTEX_STATEMENT_TIMEOUT_MS: `${TIMEOUT_S * 1000}` } });
    api = stack.client();
});
after(() => stack?.stop());

async function whileItHangs(body) {
    const pids = (await stack.query(`SELECT pid FROM pg_stat_activity WHERE datname = '${stack.name}' AND pid <> pg_backend_pid()`))
        .map(({ pid }) => pid);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
        return await body();
    } finally {
        for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
}

async function timed(t, asked_s, request) {
    const begun = performance.now();
    const answer = await request();
    const took = (performance.now() - begun) / 1000;
    t.diagnostic(`answered with ${answer.status} after ${took.toFixed(2)} s; ${asked_s} s were asked for`);
    assert.ok(took < asked_s + MORE_S, `${took} s`);
    return answer;
}

describe('a database that hangs', () => {
    test('test_write_when_its_wait_is_over_then_202_and_not_another_wait', async (t) => {
        const answer = await whileItHangs(() => timed(t, WAIT_S, () => api.post('/v1/projects', { name: 'Bridge' }, { prefer: `wait=${WAIT_S}` })));
        assert.equal(answer.status, 202, answer.text);
    });

    test('test_write_when_the_client_does_not_wait_then_202_although_its_key_cannot_be_checked', async (t) => {
        const headers = { prefer: 'respond-async', 'idempotency-key': randomUUID() };
        const answer = await whileItHangs(() => timed(t, 0, () => api.post('/v1/projects', { name: 'Bridge' }, headers)));
        assert.equal(answer.status, 202, answer.text);
    });

    test('test_page_of_events_when_its_wait_is_over_then_503_and_not_another_wait', async (t) => {
        const company = await stack.addCompany();
        const reader = stack.client({ company });
        const { next } = (await reader.get('/v1/events?after=0', { accept: 'application/json' })).body;
        const waiting = timed(t, WAIT_S, () => reader.get(`/v1/events?after=${next}`, { accept: 'application/json', prefer: `wait=${WAIT_S}` }));
        await sleep(500);
        assert.equal((await whileItHangs(() => waiting)).status, 503);
    });
});
