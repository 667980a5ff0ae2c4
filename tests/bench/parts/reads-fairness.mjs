// One tenant with 200,000 projects searches them for a text over 16 connections, as fast as it is answered; another one reads single projects
// by id, 100 a second. What the other waits, beside the searches and without them. Two kinds of text: one that the index finds, and one that
// is too short for it, so that each search walks all rows of the company.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { median, onlyStatus, pause, run, sql, stack } from '../stack.mjs';
import { addTenants } from '../tenants.mjs';
import { startChild } from '../../lib/children.mjs';

const ROWS = Number(process.env.BENCH_SEARCHED ?? 200_000);
const SEARCHERS = 16;
const load = path.join(stack.programs, 'load');
const environment = (token) => ({ env: { ...process.env, CORTEX_TOKEN: token } });

async function fill({ id }, count) {
    await sql(`INSERT INTO project (company_id, id, number, name, description)
        SELECT '${id}', gen_random_uuid(), 'B-' || i, 'Building ' || i, 'A building of ' || md5(i::text) FROM generate_series(1, ${count}) AS i;
        ANALYZE project`);
}

async function readsOf({ id, token }) {
    const file = path.join(stack.state, 'reads-fairness.paths');
    const ids = await sql(`SELECT id FROM project WHERE company_id = '${id}'`);
    writeFileSync(file, ids.map((one) => `/v1/projects/${one}\n`).join(''));
    return async () => onlyStatus(200, JSON.parse(await run(load, ['--json', '--url', stack.url, '--paths', file, '--rate', '100',
        '--connections', '16', '--warmup', '1', '--duration', `${2 * stack.seconds}`], environment(token))));
}

// Searches until it is ended; returns how many were answered in a second, with whatever status.
function search({ token }, text) {
    const child = startChild(load, ['--json', '--url', `${stack.url}/v1/projects?text=${text}`, '--connections', `${SEARCHERS}`, '--duration', '600'],
        { stdio: ['ignore', 'pipe', 'inherit'], ...environment(token) });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (part) => (output += part));
    const end = new Promise((resolve) => child.on('close', () => resolve(JSON.parse(output))));
    return async () => {
        child.kill('SIGTERM');
        return end;
    };
}

export async function measure() {
    const [noisy, other] = await addTenants(2);
    await fill(noisy, ROWS);
    await fill(other, 1000);
    const read = await readsOf(other);
    await read(); // caches, plans
    const texts = { found: 'no such building', walked: '%7e%7e' };
    const waits = { quiet: [], found: [], walked: [] }, rates = { found: [], walked: [] };
    for (let i = 0; i < stack.rounds; i++) {
        waits.quiet.push((await read()).p99_us / 1000);
        for (const [kind, text] of Object.entries(texts)) {
            const stop = search(noisy, encodeURI(text).replaceAll('%25', '%'));
            await pause(1);
            waits[kind].push((await read()).p99_us / 1000);
            rates[kind].push((await stop()).per_second);
        }
    }
    await sql(`DELETE FROM project WHERE company_id IN ('${noisy.id}', '${other.id}')`);
    const many = ROWS.toLocaleString('en-US');
    const row = (kind, how) => ({
        what: `p99 of GET by id beside ${SEARCHERS} searches of ${many} rows, ${how}`, ours: median(waits[kind]), theirs: median(waits.quiet),
        unit: ' ms', against: 'without them', goal: { ratio: 2, atLeast: false },
    });
    return {
        rows: [
            row('found', 'by the index'),
            row('walked', 'row by row'),
            { what: 'these searches by the index', ours: median(rates.found), theirs: median(rates.walked), unit: '/s', against: 'row by row' },
        ],
        costs: [],
    };
}
