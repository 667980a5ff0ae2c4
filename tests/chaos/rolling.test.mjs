// Gateway processes are replaced one after the other (SIGHUP) under load and with many clients. Nobody misses an event, nobody is told to
// reload, no request is refused, and clients come back no faster than the drain sends them away.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Load } from '../lib/load.mjs';
import { until } from '../lib/process.mjs';
import { Riders, mostWithin } from '../lib/rider.mjs';
import { startStack } from '../lib/stack.mjs';

const CLIENTS = Number(process.env.CORTEX_ROLLING_CLIENTS ?? 1000);
const DRAIN_MS = Math.max(4000, CLIENTS * 4);
const WINDOW_MS = 100;
// What the drain sends away in its time, twice that after the loop was held up (conn_drain.c), and the ticks at both ends of the window.
const BOUND = Math.ceil((2 * CLIENTS * (WINDOW_MS + 20)) / (0.9 * DRAIN_MS)) + 7;

const settings = join(tmpdir(), `cortex-rolling-${process.pid}.conf`);
let stack;
before(async () => {
    writeFileSync(settings, `CORTEX_DRAIN_MS=${DRAIN_MS}\n`);
    stack = await startStack('rolling', { gateway: { CORTEX_CONFIG: settings, CORTEX_LOG_LEVEL: 'debug', CORTEX_GATEWAY_PROCESSES: '2' } });
});
after(async () => {
    rmSync(settings);
    await stack?.stop();
});

// By the gateway's own clock: that of a thousand clients in one process is held up as well.
const departures = () => [...stack.gateway.tail(Infinity).matchAll(/"at":"([^"]+)"[^\n]*"event":"session\.disconnected"[^\n]*"code":3001/g)]
    .map(([, at]) => Date.parse(at));
const replaced = () => [...stack.gateway.tail(Infinity).matchAll(/"event":"parent\.replaced"/g)].length;

describe('rolling restart', () => {
    test('test_restart_when_processes_are_replaced_one_by_one_then_no_event_is_missed_and_clients_return_in_turn', async (t) => {
        const company = await stack.addCompany();
        const riders = new Riders(stack, company, CLIENTS);
        await riders.start();
        const before = riders.arrivals.length;
        const load = new Load(stack, company, { connections: 1 });
        load.start();
        await until(() => load.accepted.length > 5, 30_000, 'the load');
        riders.arrivals.length = 0;
        stack.gateway.child.kill('SIGHUP');
        await until(() => replaced() === 2, 4 * DRAIN_MS + 60_000, 'both to be replaced');
        await load.stop();
        const last = load.accepted.length;
        await until(() => riders.all(last), 60_000, 'all events at every client');
        riders.stop();
        const most = mostWithin(departures(), WINDOW_MS), mostBack = mostWithin(riders.arrivals, WINDOW_MS);
        t.diagnostic(`${before} clients, ${last} events each, ${riders.departures.length} sent away within 2 drains of ${DRAIN_MS} ms, `
            + `at most ${most} in ${WINDOW_MS} ms (bound ${BOUND}); back at most ${mostBack}; ${load.others.length} requests refused`);
        assert.equal(before, CLIENTS);
        assert.deepEqual(riders.faults, []);
        assert.equal(riders.reloads, 0);
        assert.deepEqual([...riders.codes.keys()], [3001]);
        assert.ok(riders.departures.length >= CLIENTS);
        assert.ok(most <= BOUND, `${most} sent away within ${WINDOW_MS} ms, the bound is ${BOUND}`);
        assert.deepEqual(load.others.map(({ status, error }) => error?.code ?? status), []);
    });

    test('test_hangup_when_the_settings_are_wrong_then_all_stay_and_when_right_then_the_new_processes_have_them', async () => {
        const logged = (event) => stack.gateway.tail(Infinity).split(`"event":"${event}"`).length - 1;
        const api = stack.client();
        const started = logged('gateway.started');
        writeFileSync(settings, 'CORTEX_PAGE_MAX=many\n');
        stack.gateway.child.kill('SIGHUP');
        await until(() => logged('parent.settings_refused') === 1, 10_000, 'the refusal');
        assert.equal((await api.get('/v1/projects?limit=200')).status, 200);
        assert.equal(logged('gateway.started'), started);
        writeFileSync(settings, 'CORTEX_PAGE_MAX=7\nCORTEX_DRAIN_MS=500\nCORTEX_PAGE_DEFAULT=5\n');
        const done = replaced() + 2;
        stack.gateway.child.kill('SIGHUP');
        await until(() => replaced() === done, 4 * DRAIN_MS + 60_000, 'both to be replaced');
        assert.equal((await api.get('/v1/projects?limit=8')).status, 400);
        assert.equal(logged('gateway.started'), started + 2);
    });
});
