// Gateways and workers of the version that binds companies on the exchange `events`, beside those that bind slots on `events.gateways`, under
// load and in every order: gateways first, then workers; and back, with a gateway of the older version that starts when nobody expects it.
// No client misses an event or hears one twice, and no request is refused. The look at the position that would find a missed event is
// switched off: what is heard came by the broker, or was missed between two others and read. `./cortex test long` does it on the RabbitMQ of
// Debian 13 as well.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { startCluster } from '../lib/cluster.mjs';
import { Load } from '../lib/load.mjs';
import { hearWorkers } from '../lib/members.mjs';
import { buildOf, hasCommit } from '../lib/older.mjs';
import { Logged, until } from '../lib/process.mjs';
import { Riders } from '../lib/rider.mjs';
import { broker } from '../lib/servers.mjs';
import { isWhole, size } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const BEFORE_SLOTS = '2927044';
const COMPANIES = 20;
const CLIENTS = Math.max(200, size(2000));
const SETTINGS = { CORTEX_POSITION_CHECK_MS: '3600000', CORTEX_DRAIN_MS: '2000', CORTEX_DRAIN_NOTICE_MS: '500' };
const SOON_MS = 60_000;

const isThere = await hasCommit(BEFORE_SLOTS);

const skip = isThere ? false : `this clone has no commit ${BEFORE_SLOTS}`;

// A broker of Debian 13 of our own, for startStack.
async function brokerOf(version) {
    const cluster = await startCluster(version, 1);
    const amqpUrl = async (vhost) => {
        await cluster.vhost(vhost);
        return cluster.url(vhost);
    };
    return { amqpUrl, missing: cluster.missing, ctl: (...args) => cluster.ctl(1, ...args), remove: () => cluster.remove() };
}

const versions = isWhole ? ['machine', 'debian13'] : ['machine'];
for (const version of versions) describe(`upgrade on the RabbitMQ of ${version}`, { skip }, () => {
    let stack, older, companies, riders, loads, target, rabbit;

    // A machine that cannot have a root of Debian 13 says why, and goes without.
    const here = (name, prove) => test(name, (t) => (rabbit.missing ? t.skip(rabbit.missing) : prove(t)));

    before(async () => {
        rabbit = version === 'machine' ? broker : await brokerOf(version);
        if (rabbit.missing) return;
        older = await buildOf(BEFORE_SLOTS);
        stack = await startStack(`upgrade_${version}`, {
            gateway: SETTINGS, worker: { CORTEX_WORKER_PROCESSES: '2' }, from: older, amqpUrl: rabbit.amqpUrl,
        });
        companies = await stack.addCompanies(COMPANIES);
        target = stack;
        riders = new Riders(stack, companies, CLIENTS, () => target.address);
        await riders.start();
    });
    after(async () => {
        riders?.stop();
        await Promise.all((loads ?? []).map((load) => load.stop()));
        await stack?.stop();
        await rabbit.remove?.();
    });

    function startLoads() {
        loads = companies.map((company) => new Load(stack, company, { connections: 1, pause: 50, url: target.url }));
        loads.forEach((load) => load.start());
    }

    // Everybody has heard everything, each once.
    async function assertAllHeard(t, phase) {
        await until(() => loads.every(({ accepted }) => accepted.length > 2), SOON_MS, 'some events');
        await Promise.all(loads.map((load) => load.stop()));
        const rows = await stack.query('SELECT company_id, seq FROM company_sequence');
        const seqOf = new Map(rows.map(({ company_id: company, seq }) => [company, Number(seq)]));
        await until(() => riders.all(companies.map((company) => seqOf.get(company))), SOON_MS, `all events at every client: ${phase}`);
        assert.deepEqual(riders.faults, []);
        assert.equal(riders.reloads, 0);
        assert.deepEqual(loads.flatMap(({ others }) => others).map(({ status, error }) => error?.code ?? status), []);
        t.diagnostic(`${phase}: ${companies.reduce((sum, company) => sum + seqOf.get(company), 0)} events heard by ${CLIENTS} clients`);
    }

    // The clients, and the load with them, go to another gateway; then the one that they were at leaves.
    async function moveTo(next, leave) {
        const loadsBefore = loads;
        target = next;
        startLoads();
        await Promise.all(loadsBefore.map((load) => load.stop()));
        assert.deepEqual(loadsBefore.flatMap(({ others }) => others).map(({ status, error }) => error?.code ?? status), []);
        await leave();
        await until(() => riders.areIn() === CLIENTS, SOON_MS, 'the clients to be back');
    }

    const bindingsOf = async (exchange) => (await rabbit.ctl('list_bindings', '--vhost', stack.name, '--no-table-headers', 'source_name',
        'destination_kind', 'routing_key')).split('\n').map((line) => line.split('\t')).filter(([source, kind]) => source === exchange && kind === 'queue');
    const isOfSlot = ([, , key]) => /^[0-9a-f]{3}\.#$/.test(key);
    const isOfCompany = ([, , key]) => companies.some((company) => key === `${company}.#`);

    let gateway, worker;

    here('test_upgrade_when_gateways_come_first_and_then_workers_then_every_event_is_heard_once', async (t) => {
        startLoads();
        gateway = await stack.addGateway(SETTINGS);
        await moveTo(gateway, () => stack.gateway.stop());
        await assertAllHeard(t, 'gateway of this version, worker of the version before');
        assert.ok((await bindingsOf('events')).some(isOfCompany), 'companies are bound while a worker of the version before runs');
        startLoads();
        worker = await stack.addWorker();
        await stack.worker.stop();
        const log = new Logged(worker, 'events.keys');
        await until(() => log.of('events.keys').some(({ keys }) => keys === 'slot'), SOON_MS, 'events to go by slot alone');
        log.close();
        await assertAllHeard(t, 'all of this version');
        await until(async () => !(await bindingsOf('events')).some(isOfCompany), SOON_MS, 'no company to be bound on `events`');
        assert.ok((await bindingsOf('events.gateways')).filter(isOfSlot).length >= COMPANIES / 2);
        await until(async () => !(await bindingsOf('events.slots')).some(isOfSlot), SOON_MS, 'no slot to be bound on `events.slots`');
    });

    here('test_downgrade_when_a_gateway_of_the_version_before_starts_later_then_every_event_is_heard_once', async (t) => {
        startLoads();
        const back = await stack.addGateway(SETTINGS, older);
        await moveTo(back, () => gateway.program.stop());
        await assertAllHeard(t, 'gateway of the version before, worker of this version');
        startLoads();
        await stack.worker.start();
        await worker.stop();
        await assertAllHeard(t, 'all of the version before');
        // And the workers first, as the operator's book has it.
        startLoads();
        worker = await stack.addWorker();
        await stack.worker.stop();
        await assertAllHeard(t, 'gateway of the version before, worker of this version, again');
        startLoads();
        gateway = await stack.addGateway(SETTINGS);
        await moveTo(gateway, () => back.program.stop());
        await assertAllHeard(t, 'all of this version, again');
    });

    // It cannot read parcels, and the gateway has sent some. The others keep it from taking partitions, and the gateway sends no more.
    here('test_worker_of_a_version_before_parcels_when_it_starts_late_then_it_meets_none', async (t) => {
        const crowds = companies.map((company) => new Load(stack, company, { connections: 4, url: gateway.url }));
        const said = await hearWorkers(stack);
        const stopped = () => Promise.all(crowds.map((load) => load.stop()));
        t.after(stopped);
        crowds.forEach((load) => load.start());
        await until(() => said.some(({ has_parcels: has }) => has), SOON_MS, 'parcels');
        const late = await stack.addWorker(older);
        const isLate = ({ id, parcels }) => id && !parcels; // the managers may let one of them go
        await until(() => said.some(isLate), SOON_MS, 'the late worker to be heard');
        const accepted = () => crowds.reduce((sum, load) => sum + load.accepted.length, 0);
        const before = accepted(), from = said.length;
        await until(() => said.slice(from).filter(isLate).length >= 5 && accepted() > before, SOON_MS, 'it to have worked if it could');
        await stopped();
        await late.stop();
        assert.deepEqual(said.filter((one) => isLate(one) && one.holding.length > 0), []);
        assert.deepEqual(crowds.flatMap(({ others }) => others).map(({ status, error }) => error?.code ?? status), []);
        assert.deepEqual(await stack.query('SELECT type, reason FROM dead_letter'), []);
        await said.stop();
        t.diagnostic(`${accepted()} commands accepted, ${accepted() - before} of them since it was heard`);
    });
});
