// Gateways are replaced under load and with thousands of clients: process by process (SIGHUP), and as a whole, when the clients go to another
// gateway (SIGTERM). No client misses an event, hears one twice or is told to reload; each is sent away with the code that says "come back
// at once"; no request is refused; and in no second more clients come back than CORTEX_DRAIN_PER_S allows each process.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { send } from '../lib/http.mjs';
import { Load } from '../lib/load.mjs';
import { Logged, until } from '../lib/process.mjs';
import { Riders, mostWithin } from '../lib/rider.mjs';
import { startStack } from '../lib/stack.mjs';

const CLIENTS = 5000; // with more, the loop of the one process that plays them decides what is measured
const COMPANIES = 10;
const DRAIN_MS = 5000;
// A little more than the first of two processes needs for its half of the clients in that time; the second one has more of them by then,
// so that the bound is what decides.
const PER_S = Math.ceil((CLIENTS / 2) * 1000 / DRAIN_MS * 1.2);
const NOTICE_MS = 2000;
// The log has whole milliseconds, and a line may be written some milliseconds after its socket was closed. So what a process closed in one
// second may stand in fewer milliseconds of the log.
const LOGGED_SECOND_MS = 980;
const MOMENT_MS = 200; // from the gateway's decision to the socket of its client
const LINGER_MS = 2000; // gateway/net/conn.c
const ROLLED_MS = 120_000;

const settings = join(tmpdir(), `cortex-rolling-${process.pid}.conf`);
let stack, log, riders, loads;
before(async () => {
    writeFileSync(settings, `CORTEX_DRAIN_MS=${DRAIN_MS}\nCORTEX_DRAIN_PER_S=${PER_S}\nCORTEX_DRAIN_NOTICE_MS=${NOTICE_MS}\n`
        + 'CORTEX_WS_PONG_MS=60000\nCORTEX_WS_CLOSE_MS=60000\n'); // the clients' loop may be held up
    stack = await startStack('rolling', { gateway: { CORTEX_CONFIG: settings, CORTEX_LOG_LEVEL: 'debug', CORTEX_GATEWAY_PROCESSES: '2' } });
    log = new Logged(stack.gateway, 'session.disconnected', 'parent.replaced', 'parent.settings_refused', 'gateway.started');
    const companies = await Promise.all(Array.from({ length: COMPANIES }, () => stack.addCompany()));
    riders = new Riders(stack, companies, CLIENTS);
    await riders.start();
});
after(async () => {
    rmSync(settings);
    riders?.stop();
    log?.close();
    await stack?.stop();
});

const logged = (event) => log.of(event).length;
// By the gateway's own clock: that of thousands of clients in one process is held up as well.
const sentAway = () => log.of('session.disconnected').filter(({ code }) => code === 3001).map(({ at }) => Date.parse(at));

async function startLoads(url) {
    loads = riders.companies.map((company) => new Load(stack, company, { connections: 1, pause: 50, url }));
    loads.forEach((load) => load.start());
    await until(() => loads.every(({ accepted }) => accepted.length > 1), 30_000, 'the load');
}

// Everybody has heard everything, each once.
async function assertNothingMissed() {
    await Promise.all(loads.map((load) => load.stop()));
    const rows = await stack.query('SELECT company_id, seq FROM company_sequence');
    const seqOf = new Map(rows.map(({ company_id: company, seq }) => [company, seq]));
    await until(() => riders.all(riders.companies.map((company) => seqOf.get(company))), 60_000, 'all events at every client');
    assert.deepEqual(riders.faults, []);
    assert.equal(riders.reloads, 0);
    // A client that was held up for longer than the gateway lingers has not read that its connection was closed, and is told by a reset.
    const isExcused = (outcome) => outcome === 'ECONNRESET' && riders.heldUp > LINGER_MS;
    assert.deepEqual(loads.flatMap(({ others }) => others).map(({ status, error }) => error?.code ?? status).filter((outcome) => !isExcused(outcome)), []);
    return [...seqOf.values()].reduce((sum, seq) => sum + seq, 0);
}

// `processes`: that leave at the same time.
function assertInTurn(t, { processes, times, events }) {
    const perS = processes * PER_S;
    const most = mostWithin(times, LOGGED_SECOND_MS);
    const mostBack = mostWithin(riders.returns, 1000);
    const mayCome = Math.ceil(perS * (1 + (riders.heldUp + MOMENT_MS) / 1000));
    t.diagnostic(`${CLIENTS} clients of ${COMPANIES} companies, ${events} events, ${times.length} sent away, at most ${most} in a second (bound ${perS}); `
        + `back at most ${mostBack} in a second (${mayCome}, the clients' loop was held up for ${riders.heldUp} ms)`);
    // What the clients had no turn to read before the end of the drain is cut.
    const cut = riders.heldUp > DRAIN_MS / 2 ? riders.codes.get(1006) ?? 0 : 0;
    assert.deepEqual([...riders.codes.keys()].filter((code) => code !== 1006 || cut === 0), [3001]);
    assert.equal(riders.departures.length + cut, times.length);
    assert.ok(times.length >= CLIENTS);
    assert.ok(most <= perS, `${most} sent away within a second, the bound is ${perS}`);
    assert.ok(mostBack <= mayCome, `${mostBack} came back within a second, the bound is ${mayCome}`);
}

describe('rolling restart', () => {
    test('test_restart_when_processes_are_replaced_one_by_one_then_no_event_is_missed_and_clients_return_in_turn', async (t) => {
        assert.equal(riders.areIn(), CLIENTS);
        await startLoads();
        riders.countAnew();
        stack.gateway.child.kill('SIGHUP');
        await until(() => logged('parent.replaced') === 2, ROLLED_MS, 'both to be replaced');
        const events = await assertNothingMissed();
        assertInTurn(t, { processes: 1, times: sentAway(), events });
    });

    test('test_gateway_when_it_leaves_then_not_ready_first_and_its_clients_go_to_another_in_turn', async (t) => {
        const other = await stack.addGateway({ CORTEX_CONFIG: settings });
        const before = sentAway().length;
        await startLoads(other.url);
        riders.countAnew();
        let unready = false;
        riders.address = () => (unready ? other.address : stack.address); // a balancer that looks at /readyz
        const left = stack.gateway.stop();
        await until(async () => (await send(`${stack.url}/readyz`)).status === 503, NOTICE_MS, 'the gateway to be not ready');
        assert.equal(riders.departures.length, 0, 'nobody is sent away before the readiness is off');
        unready = true;
        await left;
        const events = await assertNothingMissed();
        assert.equal(riders.areIn(), CLIENTS);
        assertInTurn(t, { processes: 2, times: sentAway().slice(before), events });
    });

    test('test_hangup_when_the_settings_are_wrong_then_all_stay_and_when_right_then_the_new_processes_have_them', async () => {
        riders.stop();
        writeFileSync(settings, 'CORTEX_DRAIN_MS=500\n');
        await stack.gateway.start();
        const api = stack.client();
        const started = logged('gateway.started');
        writeFileSync(settings, 'CORTEX_PAGE_MAX=many\n');
        stack.gateway.child.kill('SIGHUP');
        await until(() => logged('parent.settings_refused') === 1, 10_000, 'the refusal');
        assert.equal((await api.get('/v1/projects?limit=200')).status, 200);
        assert.equal(logged('gateway.started'), started);
        writeFileSync(settings, 'CORTEX_PAGE_MAX=7\nCORTEX_DRAIN_MS=500\nCORTEX_PAGE_DEFAULT=5\n');
        const done = logged('parent.replaced') + 2;
        stack.gateway.child.kill('SIGHUP');
        await until(() => logged('parent.replaced') === done, ROLLED_MS, 'both to be replaced');
        assert.equal((await api.get('/v1/projects?limit=8')).status, 400);
        assert.equal(logged('gateway.started'), started + 2);
    });
});
