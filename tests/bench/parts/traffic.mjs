// The traffic of a site: of a thousand companies 80 of 100 requests read a project, 15 change one and 5 create one, a thousand a second in all,
// over a million rows (BENCH_TRAFFIC_ROWS). How long 95 of 100 of each kind take at most.
import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { PROJECT, median, onlyStatus, run, sql, stack } from '../stack.mjs';
import { addTenants } from '../tenants.mjs';

const COMPANIES = 1000, RATE = 1000;
const ROWS = Number(process.env.BENCH_TRAFFIC_ROWS ?? 1_000_000);
const PICKED = 20; // projects of each company that are asked for
const GOAL_MS = 30;
const KINDS = [
    { what: 'reads', share: 0.8, status: 200, args: [] },
    { what: 'updates', share: 0.15, status: 200, args: ['--method', 'PATCH', '--body', '{"description":"Changed {n}"}'] },
    { what: 'creates', share: 0.05, status: 201, isOfCollection: true, args: ['--body', PROJECT] },
];

async function fill(tenants) {
    const each = Math.ceil(ROWS / tenants.length);
    for (let from = 0; from < tenants.length; from += 100)
        await sql(`INSERT INTO project (company_id, id, number, name, description)
            SELECT c, gen_random_uuid(), 'T-' || i, 'Building ' || i, 'A building of ' || md5(i::text)
            FROM unnest('{${tenants.slice(from, from + 100).map(({ id }) => id)}}'::uuid[]) AS c, generate_series(1, ${each}) AS i`);
    await sql('ANALYZE project');
}

// Files of a path and a token a line: a company and one of its projects.
async function write(tenants) {
    const tokens = new Map(tenants.map(({ id, token }) => [id, token]));
    const rows = (await sql(`SELECT c || ' ' || p.id FROM unnest('{${[...tokens.keys()]}}'::uuid[]) AS c,
        LATERAL (SELECT id FROM project WHERE company_id = c ORDER BY created_at, id LIMIT ${PICKED}) AS p ORDER BY md5(p.id::text)`)).map((row) => row.split(' '));
    const files = { paths: path.join(stack.state, 'traffic.paths'), tokens: path.join(stack.state, 'traffic.tokens'), companies: path.join(stack.state, 'traffic.companies') };
    writeFileSync(files.paths, rows.map(([, id]) => `/v1/projects/${id}\n`).join(''));
    writeFileSync(files.tokens, rows.map(([company]) => `${tokens.get(company)}\n`).join(''));
    writeFileSync(files.companies, [...tokens.values()].map((token) => `${token}\n`).join(''));
    return files;
}

async function ask(files, { share, status, isOfCollection, args }) {
    const whom = isOfCollection ? ['--url', `${stack.url}/v1/projects`, '--tokens', files.companies]
        : ['--url', stack.url, '--paths', files.paths, '--tokens', files.tokens];
    return onlyStatus(status, JSON.parse(await run(path.join(stack.programs, 'load'), ['--json', ...whom, ...args, '--connections', '32',
        '--rate', `${Math.round(RATE * share)}`, '--warmup', '2', '--duration', `${2 * stack.seconds}`])));
}

export async function measure() {
    const tenants = await addTenants(COMPANIES);
    await fill(tenants);
    const files = await write(tenants), runs = [];
    for (let i = 0; i < (stack.side ? 1 : stack.rounds); i++) runs.push(await Promise.all(KINDS.map((kind) => ask(files, kind))));
    await sql(`DELETE FROM project WHERE company_id = ANY ('{${tenants.map(({ id }) => id)}}')`);
    return {
        rows: KINDS.map(({ what }, i) => ({
            what: `${what} of ${COMPANIES} companies over ${ROWS.toLocaleString('en-US')} rows, ${RATE} requests a second in all: p95`,
            ours: median(runs.map((all) => all[i].p95_us / 1000)), theirs: median(runs.map((all) => all[i].p50_us / 1000)), unit: ' ms', against: 'p50', goal: { value: GOAL_MS, atLeast: false },
        })),
        costs: [],
    };
}
