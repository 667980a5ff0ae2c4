// Tenants with 200,000 projects read lists as fast as they are answered, of a kind that looks at many rows; another one reads single projects
// by id. What the other waits at 100 a second, and how much it reads at most, beside these lists and without them.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { median, onlyStatus, pause, run, sql, stack } from '../stack.mjs';
import { addTenants } from '../tenants.mjs';
import { startChild } from '../../lib/children.mjs';

const ROWS = Number(process.env.BENCH_SEARCHED ?? 200_000);
const SEARCHES = { query: 'projects?text=no such building', connections: 16 };
const WALKS = { query: 'projects?text=~~', connections: 16 };
const FILTERS = { query: 'projects?archived=true', connections: 4 };
// `who`: which of the noisy tenants; OPERATOR asks over all of them.
const OPERATOR = 'operator';
const NOISES = {
    found: { who: [0], lists: [SEARCHES], how: '16 searches by the index' },
    walked: { who: [0], lists: [WALKS], how: '16 searches for a text that is too short for it' },
    filtered: { who: [0], lists: [FILTERS], how: '4 lists whose filter matches nothing' },
    many: { who: [0, 1], lists: [SEARCHES, WALKS, FILTERS, { query: 'projects?text=a&archived=true', connections: 4 }], how: 'all of these, of two tenants' },
    operator: { who: [OPERATOR], lists: [{ query: 'admin/acts?act=nothing', connections: 4 }], how: "4 operators' lists whose filter matches nothing" },
};
const load = path.join(stack.programs, 'load');
const environment = (token) => ({ env: { ...process.env, CORTEX_TOKEN: token } });

async function fill({ id }, count) {
    await sql(`INSERT INTO project (company_id, id, number, name, description)
        SELECT '${id}', gen_random_uuid(), 'B-' || i, 'Building ' || i, 'A building of ' || md5(i::text) FROM generate_series(1, ${count}) AS i;
        ANALYZE project`);
}

// Reads single projects of a tenant: at a rate, or as many as `connections` get.
async function readsOf({ id, token }) {
    const file = path.join(stack.state, 'reads-fairness.paths');
    const ids = await sql(`SELECT id FROM project WHERE company_id = '${id}'`);
    writeFileSync(file, ids.map((one) => `/v1/projects/${one}\n`).join(''));
    const read = async (connections, duration, ...options) => onlyStatus(200, JSON.parse(await run(load, ['--json', '--url', stack.url, '--paths', file,
        '--connections', `${connections}`, '--warmup', '1', '--duration', `${duration}`, ...options], environment(token))));
    return {
        wait: async () => (await read(16, 2 * stack.seconds, '--rate', '100')).p99_us / 1000,
        rate: async () => (await read(64, stack.seconds)).per_second,
    };
}

// Asks until it is ended; returns how many were answered in a second, with whatever status.
function askOne({ token }, { query, connections }) {
    const child = startChild(load, ['--json', '--url', `${stack.url}/v1/${encodeURI(query)}`, '--connections', `${connections}`, '--duration', '600'],
        { stdio: ['ignore', 'pipe', 'inherit'], ...environment(token) });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (part) => (output += part));
    const end = new Promise((resolve) => child.on('close', () => resolve(JSON.parse(output))));
    return async () => {
        child.kill('SIGTERM');
        return end;
    };
}

function ask(tenants, { who, lists }) {
    const ends = who.flatMap((one) => lists.map((list) => askOne(tenants[one], list)));
    return async () => (await Promise.all(ends.map((end) => end()))).reduce((sum, { per_second: rate }) => sum + rate, 0);
}

// As many acts of operators, so that an operator's list has rows to look at.
async function fillActs(id) {
    await sql(`INSERT INTO operator_act (id, actor, act, outcome) SELECT gen_random_uuid(), '${id}', 'schedule.put', 'ok' FROM generate_series(1, ${ROWS});
        ANALYZE operator_act`);
}

export async function measure() {
    const [other, ...noisy] = await addTenants(3);
    for (const tenant of noisy) await fill(tenant, ROWS);
    await fill(other, 1000);
    await fillActs(other.id);
    const [operator] = await addTenants(1, 'super_admin');
    const tenants = { ...noisy, [OPERATOR]: operator };
    const { wait, rate } = await readsOf(other);
    await wait(); // caches, plans
    const quiet = { waits: [], rates: [] };
    const beside = Object.fromEntries(Object.keys(NOISES).map((kind) => [kind, { waits: [], rates: [], noise: [] }]));
    for (let i = 0; i < stack.rounds; i++) {
        quiet.waits.push(await wait());
        quiet.rates.push(await rate());
        for (const [kind, noise] of Object.entries(NOISES)) {
            const stop = ask(tenants, noise);
            await pause(1);
            beside[kind].waits.push(await wait());
            beside[kind].rates.push(await rate());
            beside[kind].noise.push(await stop());
        }
    }
    await sql(`DELETE FROM project WHERE company_id IN (${[other, ...noisy].map(({ id }) => `'${id}'`)}); DELETE FROM operator_act WHERE actor = '${other.id}'`);
    const many = ROWS.toLocaleString('en-US');
    return {
        rows: [
            ...Object.entries(NOISES).map(([kind, { how }]) => ({
                what: `p99 of GET by id beside ${how} (${many} rows)`, ours: median(beside[kind].waits), theirs: median(quiet.waits),
                unit: ' ms', against: 'without them', goal: { ratio: 2, atLeast: false },
            })),
            ...Object.entries(NOISES).map(([kind, { how }]) => ({
                what: `GET by id, 64 connections, beside ${how}`, ours: median(beside[kind].rates), theirs: median(quiet.rates),
                unit: '/s', against: 'without them',
            })),
            ...Object.entries(NOISES).map(([kind, { how }]) => ({
                what: `answers to these ${how}`, ours: median(beside[kind].noise), theirs: median(beside.found.noise), unit: '/s', against: NOISES.found.how,
            })).slice(1),
        ],
        costs: [],
    };
}
