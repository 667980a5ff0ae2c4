// Commands that end their worker, as a bug in their handler would (fatal.c is loaded into the workers). Each becomes a dead letter after at
// most three tries, with its reason, and the commands around it are done once and in order. Each death costs the commands that were
// delivered with it one delivery, which is far from their limit.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { expectStatus } from './api/expect.mjs';
import { companyOf } from '../lib/partition.mjs';
import { until } from '../lib/process.mjs';
import { build, startStack } from '../lib/stack.mjs';

const COMMANDS = 20; // of each company
const FATAL = [4, 9, 14]; // among those of one
const TRIES = 3;

let stack;
before(async () => {
    stack = await startStack('poison', {
        worker: {
            LD_PRELOAD: join(build, 'tests', 'e2e', 'fatal.so'),
            ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:verify_asan_link_order=0',
            CORTEX_TEST_FATAL: 'Fatal command',
            CORTEX_CRASH_DEATHS: '1000',
        },
    });
});
after(() => stack?.stop());

const linesOf = (event) => readFileSync(stack.worker.log, 'utf8').split('\n').filter((line) => line.includes(`"event":"${event}"`)).map((line) => JSON.parse(line));

async function send(company, name) {
    const answer = expectStatus(await stack.client({ company }).post('/v1/projects', { name }, { prefer: 'respond-async' }), 202);
    return answer.headers.location.split('/').pop();
}

async function deadLettersOf(company) {
    const operator = stack.client({ role: 'super_admin' });
    return expectStatus(await operator.get(`/v1/admin/dead-letters?company=${company}&limit=200`), 200).body.data;
}

async function namesOf(company) {
    const events = await stack.query(`SELECT data ->> 'name' AS name FROM events WHERE company_id = '${company}' ORDER BY seq`);
    return events.map(({ name }) => name);
}

describe('poison', () => {
    test('test_command_when_it_ends_its_worker_then_a_dead_letter_after_three_tries_and_its_neighbours_are_unharmed', async (t) => {
        const companies = [companyOf(3), companyOf(3), companyOf(5)]; // the second in the same queue
        const [poisoned] = companies;
        for (const company of companies) await stack.addCompany('Neighbour', company);
        await stack.worker.stop();
        const fatal = [];
        for (let n = 0; n < COMMANDS; n++)
            for (const company of companies) {
                const isFatal = company === poisoned && FATAL.includes(n);
                const id = await send(company, isFatal ? `Fatal command ${n}` : `${n}`);
                if (isFatal) fatal.push(id);
            }
        await stack.worker.start();
        await until(async () => (await deadLettersOf(poisoned)).length === FATAL.length, 60_000, 'the dead letters');
        const all = Array.from({ length: COMMANDS }, (_, n) => `${n}`);
        const others = all.filter((_, n) => !FATAL.includes(n));
        await until(async () => {
            const counts = await Promise.all(companies.map(async (company) => (await namesOf(company)).length));
            return counts[0] >= others.length && counts[1] >= COMMANDS && counts[2] >= COMMANDS;
        }, 60_000, 'the neighbours');

        const deadLetters = await deadLettersOf(poisoned);
        assert.deepEqual(deadLetters.map(({ command }) => command).sort(), fatal.sort());
        for (const { reason, attempts, detail } of deadLetters) {
            assert.deepEqual([reason, attempts], ['fatal-command', TRIES]);
            assert.match(detail, /ended before the command did/);
        }
        assert.deepEqual(await namesOf(poisoned), others, 'each once, in the order in which they were sent');
        for (const company of companies.slice(1)) {
            assert.deepEqual(await namesOf(company), all);
            assert.deepEqual(await deadLettersOf(company), []);
        }
        const deaths = linesOf('child.died').filter(({ signal }) => signal === 9).length;
        assert.ok(deaths >= TRIES && deaths <= TRIES * FATAL.length, `${deaths} deaths`);
        const neighbours = linesOf('command.runs_alone').filter(({ command }) => !fatal.includes(command));
        assert.ok(neighbours.length > 0, 'those that were delivered when the first worker died');
        const most = Math.max(...neighbours.map(({ delivered_before: times }) => times));
        assert.ok(most <= deaths, `a neighbour was delivered ${most} times before`);
        t.diagnostic(`${FATAL.length} fatal commands, ${deaths} deaths; neighbours were delivered up to ${most} times before`);
    });
});
