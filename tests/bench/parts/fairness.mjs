// One tenant with 100,000 queued commands, and 20 others with one command every 50 ms each: what the others wait, with the noise and
// without it, and how fast the noise itself is done. So many are queued while no worker is there: workers that start find those of
// the noise's partition behind them all, and first park them; how long that holds up others is a row of its own.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { startPool, stopPool } from '../pool.mjs';
import { PROJECT, median, onlyStatus, pause, run, sql, stack } from '../stack.mjs';
import { PARTITIONS } from '../../lib/partition.mjs';
import { addTenants } from '../tenants.mjs';
import { startChild } from '../../lib/children.mjs';

const NOISE = Number(process.env.BENCH_NOISE ?? 100_000); // commands
const OTHERS = 20;
const PER_SECOND = 20; // of each of them
const DONE_WITHIN_S = 600;
const load = path.join(stack.programs, 'load');
const creates = ['--json', '--url', `${stack.url}/v1/projects`, '--body', PROJECT];

// Those in the partition of the noise stand in the same queue; the rest shares only the workers and the servers with it.
function groupsOf(others) {
    const groups = { near: [], far: [] };
    others.forEach((tenant, i) => groups[(i + 1) % PARTITIONS === 0 ? 'near' : 'far'].push(tenant));
    return Object.entries(groups).filter(([, tenants]) => tenants.length > 0).map(([name, tenants]) => {
        const file = path.join(stack.state, `${name}.tokens`);
        writeFileSync(file, tenants.map(({ token }) => `${token}\n`).join(''), { mode: 0o600 });
        return { name, count: tenants.length, file, first: tenants[0] };
    });
}

// The others begin; `stop` ends them and returns {near, far}: what each group waited.
function startOthers(groups) {
    const runs = groups.map(({ count, file }) => {
        const child = startChild(load, [...creates, '--tokens', file, '--rate', `${count * PER_SECOND}`, '--connections', `${count * 4}`,
            '--header', 'Prefer: wait=60', '--duration', `${DONE_WITHIN_S}`], { stdio: ['ignore', 'pipe', 'inherit'] });
        let output = '';
        child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
        return { child, end: new Promise((resolve) => child.on('close', () => resolve(output))) };
    });
    return async () => {
        for (const { child } of runs) child.kill('SIGTERM');
        const results = {};
        for (const [i, { name }] of groups.entries()) results[name] = onlyStatus(201, JSON.parse(await runs[i].end));
        return results;
    };
}

async function sendNoise({ token }) {
    onlyStatus(202, JSON.parse(await run(load, [...creates, '--requests', `${NOISE}`, '--connections', '16', '--duration', `${DONE_WITHIN_S}`,
        '--header', 'Prefer: respond-async'], { env: { ...process.env, CORTEX_TOKEN: token } })));
}

const doneOf = async ({ id }) => Number((await sql(`SELECT seq FROM company_sequence WHERE company_id = '${id}'`))[0] ?? 0);

async function untilDone(noisy, count) {
    const begin = performance.now();
    while ((await doneOf(noisy)) < count) {
        if (performance.now() - begin > DONE_WITHIN_S * 1000) throw new Error(`the noise is not done: ${await doneOf(noisy)} of ${count}`);
        await pause(1);
    }
    return (performance.now() - begin) / 1000;
}

async function quietly(groups) {
    const stop = startOthers(groups);
    await pause(2 * stack.seconds);
    return stop();
}

// Returns the seconds from now until a command of each group is done: {near, far}.
async function heldUp(groups) {
    const begin = performance.now();
    const seconds = {};
    await Promise.all(groups.map(async ({ name, first }) => {
        const headers = { authorization: `Bearer ${first.token}`, 'content-type': 'application/json', prefer: 'wait=60' };
        const { status } = await fetch(`${stack.url}/v1/projects`, { method: 'POST', headers, body: PROJECT });
        if (status !== 201) throw new Error(`the first command of ${name} ended with ${status}`);
        seconds[name] = (performance.now() - begin) / 1000;
    }));
    return seconds;
}

// All of the noise is queued, then there are workers, then the others send until the noise is done.
async function besideQueued(noisy, settings, groups) {
    await stopPool();
    const before = await doneOf(noisy);
    await sendNoise(noisy);
    const begin = performance.now();
    await startPool(settings);
    const held = groups && (await heldUp(groups));
    const stop = groups && startOthers(groups);
    await untilDone(noisy, before + NOISE);
    return { seconds: (performance.now() - begin) / 1000, held, waits: await stop?.() };
}

// The others while the noise comes in as fast as it can be sent.
async function besideArriving(noisy, groups) {
    const before = await doneOf(noisy);
    const stop = startOthers(groups);
    await sendNoise(noisy);
    const waits = await stop();
    await untilDone(noisy, before + NOISE);
    return waits;
}

const p99 = (runs, name) => median(runs.map((one) => one[name].p99_us / 1000));

export async function measure() {
    const [noisy, ...others] = await addTenants(1 + OTHERS);
    const groups = groupsOf(others);
    await quietly(groups); // caches, plans
    const quiet = [], loud = [];
    for (let i = 0; i < stack.rounds; i++) {
        quiet.push(await quietly(groups));
        loud.push(await besideQueued(noisy, {}, groups));
    }
    const arriving = await besideArriving(noisy, groups);
    const straight = await besideQueued(noisy, { CORTEX_PARKED_MAX: '0', CORTEX_COMPANY_SHARE: '4096' });
    const alone = await besideQueued(noisy, {});
    const many = NOISE.toLocaleString('en-US');
    const where = { near: 'its partition', far: 'other partitions' };
    const each = (row) => groups.map(({ name, count }) => row(name, `${count} tenants of ${where[name]}`));
    const waits = { unit: ' ms', against: 'without it' };
    return {
        rows: [
            ...each((name, who) => ({
                what: `p99 of ${who} beside one with ${many} queued commands`, ...waits, goal: { ratio: 3, atLeast: false },
                ours: p99(loud.map((one) => one.waits), name), theirs: p99(quiet, name),
            })),
            ...each((name, who) => ({
                what: `p99 of ${who} while ${many} commands of one come in`, ...waits,
                ours: p99([arriving], name), theirs: p99(quiet, name),
            })),
            ...each((name, who) => ({
                what: `first command of ${who} when workers start with ${many} queued`, unit: ' s', against: 'until those are done',
                ours: median(loud.map(({ held }) => held[name])), theirs: median(loud.map(({ seconds }) => seconds)),
            })),
            { what: 'the noise alone, parked', ours: NOISE / alone.seconds, theirs: NOISE / straight.seconds, unit: '/s', against: 'never parked', goal: { ratio: 0.5, atLeast: true } },
        ],
        costs: [],
    };
}
