// Under load, everything that events pass through breaks, one after the other: gateway processes are killed and replaced, the broker and the
// database restart and are killed, the worker is killed; and all the time connections are cut at random. Every listener, of each kind,
// hears every event once and in order, or is told to reload for a reason and then finds in the list what it missed.
//
// At full size the rounds go on for SECONDS; otherwise there is one round, without the last fault.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { Cutter } from '../lib/cutter.mjs';
import { Load } from '../lib/load.mjs';
import { Logged, sleep, until } from '../lib/process.mjs';
import { isWhole } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';
import { PageListener, SocketListener, StreamListener } from './recovery/listeners.mjs';

const SECONDS = isWhole ? 300 : 0;
const COMPANIES = 3;
const EACH = { [SocketListener.name]: 8, [StreamListener.name]: 4, [PageListener.name]: 4 }; // of a company
const KINDS = [SocketListener, StreamListener, PageListener];
const RECOVER_MAX = 100;
const CUT_EVERY_MS = 200, CUT_SHARE = 0.04;
const PATIENCE_MS = 60_000;

let stack, log, cutter;
before(async () => {
    stack = await startStack('recovery', {
        gateway: { CORTEX_RECOVER_MAX: `${RECOVER_MAX}`, CORTEX_DRAIN_MS: '1500', CORTEX_POSITION_CHECK_MS: '1000', CORTEX_SSE_RETRY_MS: '100' },
    });
    log = new Logged(stack.gateway, 'parent.replaced');
    cutter = await Cutter.open(stack.address);
});
after(async () => {
    cutter?.close();
    log?.close();
    await stack?.stop();
});

const names = () => Object.keys(faults).slice(0, SECONDS > 0 ? undefined : -1);
const childrenOf = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);

const faults = {
    'a gateway process killed': () => process.kill(childrenOf(stack.gateway.child.pid)[0], 'SIGKILL'),
    'gateway processes replaced': async () => {
        const done = log.of('parent.replaced').length + 2;
        stack.gateway.child.kill('SIGHUP');
        await until(() => log.of('parent.replaced').length >= done, PATIENCE_MS, 'both to be replaced');
    },
    'broker restarted': () => stack.broker.restart(),
    'database killed': async () => {
        await stack.database.kill();
        await stack.database.start();
    },
    'gateway killed': async () => {
        await stack.gateway.kill();
        await stack.gateway.start();
    },
    'database restarted': () => stack.database.restart(),
    'gateway drained and started again': () => stack.gateway.restart(),
    'worker killed': async () => {
        await stack.worker.kill();
        await stack.worker.start();
    },
    'broker killed': async () => {
        await stack.broker.kill();
        await stack.broker.start();
    },
};

class World {
    constructor(companies) {
        this.companies = companies;
        this.histories = new Map(companies.map((company) => [company, new Map()]));
        this.listeners = companies.flatMap((company) => KINDS.flatMap((Kind) => Array.from({ length: EACH[Kind.name] }, () => this.#one(Kind, company))));
        this.sleepers = [SocketListener, StreamListener].map((Kind) => this.#one(Kind, companies[0]));
        this.loads = companies.map((company) => new Load(stack, company, { connections: 4, pause: 20 }));
        this.going = true;
    }

    #one(Kind, company) {
        return new Kind(stack, cutter.address, company, this.histories.get(company), RECOVER_MAX);
    }

    all() {
        return [...this.listeners, ...this.sleepers];
    }

    async start() {
        await Promise.all(this.all().map((listener) => listener.start()));
        this.loads.forEach((load) => load.start());
        this.cutting = this.#repeat(CUT_EVERY_MS, () => cutter.cut(CUT_SHARE));
        this.sleeping = this.#repeat(0, () => this.#oversleep());
    }

    async #repeat(ms, action) {
        while (this.going) {
            await sleep(ms);
            await action();
        }
    }

    // They are away for more events than can be recovered.
    async #oversleep() {
        await sleep(1000);
        this.sleepers.forEach((sleeper) => sleeper.sleep());
        const heard = this.histories.get(this.companies[0]);
        const enough = this.sleepers.map(({ last }) => last + 2 * RECOVER_MAX);
        while (this.going && !enough.every((seq) => heard.has(seq))) await sleep(100);
        this.sleepers.forEach((sleeper) => sleeper.wake());
    }

    async stopCutting() {
        this.going = false;
        await Promise.all([this.cutting, this.sleeping]);
    }

    async sequence() {
        const rows = await stack.query('SELECT company_id, seq FROM company_sequence');
        return new Map(rows.map(({ company_id: company, seq }) => [company, seq]));
    }

    // Everybody has all that there is by now.
    async caughtUp(listeners, what) {
        const sequence = await until(() => this.sequence(), PATIENCE_MS, 'the database');
        await until(() => listeners.every(({ company, last }) => last >= sequence.get(company)), PATIENCE_MS, what);
    }

    stop() {
        this.all().forEach((listener) => listener.stop());
    }
}

// The fault, then: the first write of each company that is accepted, and until everybody has heard of it.
async function strike(world, name) {
    const began = performance.now();
    await faults[name]();
    const back = performance.now();
    const before = world.loads.map((load) => load.accepted.length);
    await until(() => world.loads.every((load, i) => load.accepted.length > before[i]), PATIENCE_MS, `writes after: ${name}`);
    const writes = performance.now();
    await world.caughtUp(world.listeners, `all events everywhere after: ${name}`);
    const heard = performance.now();
    return { name, took: back - began, writes: writes - back, heard: heard - back };
}

async function expectHistories(world) {
    for (const [company, history] of world.histories) {
        const rows = await stack.query(`SELECT seq, subject FROM events WHERE company_id = '${company}' ORDER BY seq`);
        assert.deepEqual(rows.map(({ seq }) => seq), rows.map((_, i) => i + 1));
        for (const { seq, subject } of rows) if (history.has(seq)) assert.equal(history.get(seq), subject);
        for (const { company: of, last, reloads } of world.all()) {
            if (of !== company) continue;
            assert.equal(last, rows.length);
            for (const { offset, ids } of reloads)
                assert.deepEqual(rows.filter(({ seq, subject }) => seq <= offset && !ids.has(subject)), [], 'who reloaded has read what it missed');
        }
    }
}

const faultsOf = (world) => world.all().flatMap((listener) => listener.faults);

describe('recovery', () => {
    test('test_listeners_when_everything_breaks_under_load_then_each_event_is_heard_once_or_reloading_was_needed', async (t) => {
        const world = new World(await Promise.all(Array.from({ length: COMPANIES }, () => stack.addCompany())));
        await world.start();
        const began = performance.now(), strikes = [];
        do
            for (const name of names()) {
                strikes.push(await strike(world, name));
                assert.deepEqual(faultsOf(world), [], `after: ${name}`);
            }
        while (performance.now() - began < SECONDS * 1000);
        await world.stopCutting();
        await Promise.all(world.loads.map((load) => load.stop()));
        await world.caughtUp(world.all(), 'all events everywhere at the end');

        // Numbered anew, as after a restored backup: they all hear of it, and go on.
        const reloadsBefore = world.all().map(({ reloads }) => reloads.length);
        const [restored] = world.companies;
        await stack.run(`UPDATE company_sequence SET epoch = 'restored' WHERE company_id = '${restored}'`);
        const ofRestored = world.all().filter(({ company }) => company === restored);
        await until(() => ofRestored.every(({ reloads }) => reloads.at(-1)?.why === 'epoch'), PATIENCE_MS, 'all to reload');
        assert.equal((await stack.client({ company: restored }).post('/v1/projects', { name: 'After it was restored' })).status, 201);
        await world.caughtUp(world.all(), 'the event after that');
        world.stop();

        assert.deepEqual(faultsOf(world), []);
        await expectHistories(world);
        world.all().forEach(({ company, reloads }, i) => assert.equal(reloads.length, reloadsBefore[i] + (company === restored ? 1 : 0)));
        const reloads = world.all().flatMap((listener) => listener.reloads.map(({ why }) => why));
        assert.ok(reloads.includes('too old'), 'somebody was away for too long');
        const events = [...(await world.sequence()).values()].reduce((sum, seq) => sum + seq, 0);
        t.diagnostic(`${world.all().length} listeners, ${events} events, ${cutter.cuts} cuts, ${world.all().reduce((sum, { breaks }) => sum + breaks, 0)} breaks, `
            + `${reloads.length} reloads with a reason in ${Math.round((performance.now() - began) / 1000)} s`);
        for (const name of names()) {
            const of = strikes.filter((one) => one.name === name);
            const worst = (key) => Math.round(Math.max(...of.map((one) => one[key])));
            t.diagnostic(`${name} (${of.length}×): took ${worst('took')} ms; after that writes within ${worst('writes')} ms, all heard within ${worst('heard')} ms`);
        }
    });
});
