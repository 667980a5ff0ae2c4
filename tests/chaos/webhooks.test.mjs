// Webhooks under faults: the events of one company go to fifty receivers, of which twenty fail, hang, reset, trickle or lie. Workers are killed every
// three seconds, the broker and PostgreSQL restart, and the workers' clock is set five days ahead and back. Each healthy receiver gets every event
// under one webhook-id, a project's events in order, and none twice but where an attempt was cut off. Meanwhile one endpoint recovers what it has missed.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { WallClock } from './faults/clock.mjs';
import { HOLDING, Receivers, SICK } from './webhooks/receivers.mjs';
import { expectCreated, expectStatus } from '../e2e/api/expect.mjs';
import { sleep, until } from '../lib/process.mjs';
import { size, within } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const EVENTS = size(20_000), RECEIVERS = 50, ILL = 20, PROJECTS = 10;
const KILL_MS = 3000, DAYS_AHEAD = 5, DAY_S = 86_400;
const LIMIT_MS = 15_000; // of one attempt

const healthy = Array.from({ length: RECEIVERS - ILL }, (_, i) => `healthy${i}`);
const kinds = Object.keys(SICK);
const sick = Object.fromEntries(Array.from({ length: ILL }, (_, i) => [`sick${i}`, kinds[i % kinds.length]]));

let stack, clock, receivers;
before(async () => {
    clock = new WallClock();
    const allow = { CORTEX_WEBHOOK_ALLOW: '127.0.0.0/8' };
    stack = await startStack('chaos_webhooks', {
        pools: ['webhooks'], gateway: allow,
        worker: { ...allow, CORTEX_WORKER_PROCESSES: '2', CORTEX_CRASH_DEATHS: '1000', ...clock.settings },
    });
    receivers = await Receivers.open([...healthy, ...Object.keys(sick), 'late'], sick);
});
after(async () => {
    receivers?.close();
    await stack?.stop();
    clock?.remove();
});

function killEvery(ms, victim) {
    const killer = { kills: 0, going: true };
    killer.done = (async () => {
        while (killer.going) {
            await sleep(ms);
            await victim.kill();
            await victim.start();
            killer.kills += 1;
        }
    })();
    killer.stop = async () => {
        killer.going = false;
        await killer.done;
    };
    return killer;
}

// Tries until it is done: a server that restarts answers 503, or not at all.
const patiently = async (ask) => until(async () => { const answer = await ask(); return answer.status < 300 && answer; }, within(60_000), 'a command to be done');

// As many events of the projects as there are to be: each is renamed again and again.
async function cause(api, projects, count) {
    const left = Array.from({ length: count }, (_, i) => i);
    await Promise.all(projects.map(async (id) => {
        for (let i; (i = left.pop()) !== undefined; ) await patiently(() => api.patch(`/v1/projects/${id}`, { name: `Bridge ${i}` }, { prefer: 'wait=20' }));
    }));
}

describe('webhooks under faults', () => {
    test('test_webhooks_when_receivers_are_sick_workers_die_and_servers_restart_then_each_healthy_one_gets_every_event', { timeout: within(900_000) }, async (t) => {
        const company = await stack.addCompany(), api = stack.client({ company, role: 'company_admin' });
        const add = async (name, more = {}) => expectCreated(await api.post('/v1/webhook-endpoints', { url: receivers.url(name), event_types: ['project.*'], ...more }), '/v1/webhook-endpoints');
        for (const [i, name] of healthy.entries()) await add(name, { order: i % 2 ? 'none' : 'subject' });
        for (const name of Object.keys(sick)) await add(name);
        const late = await add('late');
        expectStatus(await api.patch(`/v1/webhook-endpoints/${late.id}`, { status: 'disabled' }), 200);
        const projects = await Promise.all(Array.from({ length: PROJECTS }, async (_, i) => expectCreated(await api.post('/v1/projects', { name: `Bridge ${i}` }), '/v1/projects').id));

        const killer = killEvery(KILL_MS, stack.webhooks);
        const causing = cause(api, projects, EVENTS - PROJECTS);
        await sleep(within(4000));
        await stack.broker.restart();
        clock.set(DAYS_AHEAD * DAY_S);
        await sleep(within(4000));
        await stack.database.restart();
        clock.set(0);
        await causing;
        await patiently(() => api.patch(`/v1/webhook-endpoints/${late.id}`, { status: 'active' }));
        await patiently(() => api.post(`/v1/webhook-endpoints/${late.id}/recover`, { since: '2026-01-01T00:00:00Z' }));
        await sleep(KILL_MS);
        await killer.stop();

        const events = await stack.query(`SELECT seq, type, project FROM events WHERE company_id = '${company}' AND type LIKE 'project.%' ORDER BY seq`);
        assert.ok(events.length >= EVENTS);
        for (const name of [...healthy, 'late'])
            await until(() => new Set(receivers.got.get(name).map(({ seq }) => seq)).size >= events.length, within(180_000), `${name} to have all ${events.length}: it has ${new Set(receivers.got.get(name).map(({ seq }) => seq)).size}`);
        await until(async () => (await stack.query(`SELECT count(*) FROM webhook_delivery AS d JOIN webhook_endpoint AS w ON w.company_id = d.company_id AND w.id = d.endpoint_id
            WHERE d.company_id = '${company}' AND d.next_at IS NOT NULL AND (w.url LIKE '%healthy%' OR w.url LIKE '%late')`))[0].count === 0, within(60_000), 'all outcomes to be recorded');

        let repeats = 0;
        for (const name of [...healthy, 'late']) {
            const got = receivers.got.get(name), first = new Map();
            for (const { seq, id } of got) {
                assert.equal(first.get(seq) ?? id, id, `${name}: event ${seq} has one webhook-id`);
                repeats += first.has(seq) ? 1 : 0;
                first.set(seq, id);
            }
            assert.deepEqual([...first.keys()].sort((a, b) => a - b), events.map(({ seq }) => seq), `${name} has every event, and no other`);
            assert.equal(new Set(first.values()).size, events.length, `${name}: no webhook-id is that of two events`);
        }
        for (const [i, name] of healthy.entries()) {
            if (i % 2) continue; // in any order
            const last = new Map();
            for (const { seq, project } of firsts(receivers.got.get(name))) {
                assert.ok(seq > (last.get(project) ?? 0), `${name}: ${seq} came after ${last.get(project)}`);
                last.set(project, seq);
            }
        }
        // A process that dies has at most so many requests under way to each endpoint.
        assert.ok(repeats <= (killer.kills + 2) * (healthy.length + 1) * 8, `${repeats} repeats with ${killer.kills} kills`);
        const overdue = await stack.query(`SELECT count(*) FROM webhook_delivery AS d JOIN webhook_endpoint AS w ON w.company_id = d.company_id AND w.id = d.endpoint_id
            WHERE d.company_id = '${company}' AND w.status = 'active' AND d.next_at < now() - interval '60 s' AND NOT d.is_behind AND d.attempts > 0`);
        t.diagnostic(`${events.length} events to ${healthy.length} healthy and ${ILL} sick receivers, ${killer.kills} kills: ${repeats} repeats; ${overdue[0].count} of the sick ones' are late`);
        assert.deepEqual(receivers.strays, [], 'nobody follows a redirect');
        for (const { kind, ms } of receivers.times.filter((one) => HOLDING.includes(one.kind))) assert.ok(ms < LIMIT_MS + 5000, `${kind}: a connection was open for ${ms} ms`);
        for (const kind of kinds) assert.ok(Object.keys(sick).some((name) => sick[name] === kind && receivers.got.get(name).length > 0), `${kind} was asked`);
    });
});

// What came, without what came again.
function firsts(got) {
    const seen = new Set();
    return got.filter(({ seq }) => !seen.has(seq) && seen.add(seq));
}
