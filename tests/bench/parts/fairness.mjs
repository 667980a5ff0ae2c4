// One tenant with 100,000 commands, and 20 others with one command every 50 ms each: what the others wait, with the noise and
// without it, and how fast the noise itself is done.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { startPool, stopPool } from '../pool.mjs';
import { PROJECT, median, onlyStatus, pause, run, sql, stack } from '../stack.mjs';
import { PARTITIONS } from '../../lib/partition.mjs';
import { addTenants } from '../tenants.mjs';

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
        return { name, count: tenants.length, file };
    });
}

// The others begin; `stop` ends them and returns {near, far}: what each group waited.
function startOthers(groups) {
    const runs = groups.map(({ count, file }) => {
        const child = spawn(load, [...creates, '--tokens', file, '--rate', `${count * PER_SECOND}`, '--connections', `${count * 4}`,
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

// From its first command to the last effect.
async function noisily(groups, noisy) {
    const before = await doneOf(noisy);
    const begin = performance.now();
    const stop = startOthers(groups);
    const arrival = sendNoise(noisy).then(() => (performance.now() - begin) / 1000);
    await untilDone(noisy, before + NOISE);
    const seconds = (performance.now() - begin) / 1000;
    return { ...(await stop()), seconds, arrival: await arrival };
}

// All of it is queued while no worker is there; with `groups`, the others send from the moment in which one is.
async function catchUp(noisy, settings, groups) {
    await stopPool();
    const before = await doneOf(noisy);
    await sendNoise(noisy);
    await startPool(settings);
    const stop = groups && startOthers(groups);
    const seconds = await untilDone(noisy, before + NOISE);
    return { ...(await stop?.()), seconds };
}

const p99 = (runs, name) => median(runs.map((one) => one[name].p99_us / 1000));

export async function measure() {
    const [noisy, ...others] = await addTenants(1 + OTHERS);
    const groups = groupsOf(others);
    await quietly(groups); // caches, plans
    const quiet = [], loud = [];
    for (let i = 0; i < stack.rounds; i++) {
        quiet.push(await quietly(groups));
        loud.push(await noisily(groups, noisy));
    }
    console.error(JSON.stringify({ quiet, loud }));
    const straight = await catchUp(noisy, { CORTEX_PARKED_MAX: '0', CORTEX_COMPANY_SHARE: '4096' });
    const alone = await catchUp(noisy, {});
    const late = await catchUp(noisy, {}, groups);
    console.error(JSON.stringify({ straight, alone, late }));
    const where = { near: 'its partition', far: 'other partitions' };
    const waits = groups.map(({ name, count }) => ({
        what: `p99 of ${count} tenants of ${where[name]} beside one with ${NOISE.toLocaleString('en-US')} commands`,
        ours: p99(loud, name), theirs: p99(quiet, name), unit: ' ms', against: 'without it', goal: { ratio: 3, atLeast: false },
    }));
    const queued = groups.map(({ name, count }) => ({
        what: `slowest command of ${count} tenants of ${where[name]} when workers find that many queued`,
        ours: late[name].max_us / 1e6, theirs: late.seconds, unit: ' s', against: 'until the queued are done',
    }));
    return {
        rows: [
            ...waits,
            ...queued,
            { what: 'the noise alone, parked', ours: NOISE / alone.seconds, theirs: NOISE / straight.seconds, unit: '/s', against: 'never parked', goal: { ratio: 0.5, atLeast: true } },
        ],
        costs: [],
    };
}
