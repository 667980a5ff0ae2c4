// The wall clock of every process jumps under load, as when a machine wakes up or its time is set. ../wall_clock.c is loaded into the
// processes for that; the database keeps its clock.
import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { expectOneEffectEach } from '../../lib/effects.mjs';
import { until } from '../../lib/process.mjs';
import { build } from '../../lib/stack.mjs';
import { validAround } from '../../lib/token.mjs';
import { logged, ordeal } from './ordeal.mjs';

const HOUR_S = 3600, NEARLY_S = 1800;
const SOON_MS = 1000;
const JUMPS = [['forward by an hour', HOUR_S], ['back by two', -HOUR_S], ['forward to the present', 0]];

// What programs are started with so that their clock can be set; how many seconds it is ahead.
export class WallClock {
    constructor() {
        this.file = join(tmpdir(), `cortex-clock-${process.pid}`);
        writeFileSync(this.file, Buffer.alloc(8));
        this.settings = {
            LD_PRELOAD: join(build, 'tests', 'chaos', 'wall_clock.so'),
            ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1:exitcode=99:verify_asan_link_order=0',
            CORTEX_TEST_CLOCK: this.file,
        };
    }

    set(ahead) {
        const octets = Buffer.alloc(8), fd = openSync(this.file, 'r+');
        octets.writeBigInt64LE(BigInt(ahead));
        writeSync(fd, octets);
        closeSync(fd);
    }

    remove() {
        rmSync(this.file, { force: true });
    }
}

export function clock(shared) {
    const breaks = () => ['worker', 'gateway'].map((who) => logged(shared.stack[who], /"event":"(broker|database)\.down"/g));

    // A command that is to run soon. → its id
    async function plan(api) {
        const runAt = new Date(Date.now() + SOON_MS).toISOString();
        const answer = await api.post('/v1/projects', { name: runAt }, { 'cortex-run-at': runAt });
        assert.equal(answer.status, 202, answer.text);
        return answer.headers.location.split('/').pop();
    }

    async function areDone(company, ids) {
        const [{ rows }] = await shared.stack.query(`SELECT count(*) AS rows FROM project WHERE company_id = '${company}'`);
        return rows === ids.length;
    }

    describe('clock', () => {
        test('test_wall_clock_when_it_jumps_then_work_goes_on_and_what_is_planned_runs_once', async (t) => {
            const { stack } = shared, before = breaks(), planned = [];
            const company = await stack.addCompany();
            const api = stack.client({ company, ...validAround(3 * HOUR_S) });
            try {
                await ordeal(shared, t, 'the clock', async (_, companies) => {
                    for (const [what, ahead] of JUMPS) {
                        planned.push(await plan(api));
                        shared.clock.set(ahead);
                        const begun = performance.now();
                        planned.push(await plan(api));
                        await Promise.all(companies.map((each) => each.probe()));
                        t.diagnostic(`${what}: work goes on after ${Math.round(performance.now() - begun)} ms`);
                        await expectAhead(companies[0], ahead);
                        await until(() => areDone(company, planned), 30_000, 'what was planned, while the clock is off');
                    }
                });
            } finally {
                shared.clock.set(0);
            }
            await expectOneEffectEach(stack, company, planned);
            assert.deepEqual(breaks(), before, 'no connection was given up');
        });

        // A pause that had begun before the jump would last for the two hours.
        test('test_company_when_it_was_locked_before_the_clock_went_back_then_it_goes_on_at_once', async (t) => {
            const { stack } = shared, lines = () => logged(stack.worker, /"event":"company.locked"/g), known = lines();
            try {
                await ordeal(shared, t, 'a lock and the clock', async ([locked]) => {
                    shared.clock.set(HOUR_S);
                    const released = assert.rejects(stack.run(`BEGIN; UPDATE counter SET value = value WHERE company_id = '${locked}';
                        SELECT pg_sleep(600) /* holds its counter */`), /canceling statement/);
                    await until(() => lines() > known, 30_000, 'a worker that finds the company locked');
                    shared.clock.set(-HOUR_S);
                    await stack.run(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                        WHERE query LIKE '%/* holds its counter */' AND wait_event = 'PgSleep'`);
                    await released;
                });
            } finally {
                shared.clock.set(0);
            }
        });

        // Events have the worker's time; an id has the gateway's, and never goes back.
        async function expectAhead({ stack, id, ids }, ahead) {
            const [{ event }] = await stack.query(`SELECT extract(epoch FROM at - now()) AS event FROM events WHERE company_id = '${id}'
                ORDER BY seq DESC LIMIT 1`);
            assert.ok(Math.abs(event - ahead) < NEARLY_S, `the worker's clock is ${event} s ahead`);
            const newest = Math.max(...ids.map((uuid) => parseInt(uuid.replaceAll('-', '').slice(0, 12), 16)));
            assert.ok(newest / 1000 - Date.now() / 1000 > HOUR_S - NEARLY_S, 'the gateway has been ahead');
        }
    });
}
