// The stack that is measured: where it answers, which processes it is made of, and the programs that measure it.
// bench.sh sets the environment.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startChild } from '../lib/children.mjs';
import { cpuBetween, cpuSample } from './processes.mjs';

export { median } from './median.mjs';

function required(name) {
    const value = process.env[name];
    if (!value) throw new Error(`${name} is not set: this is run by ./cortex bench`);
    return value;
}

export const stack = {
    tree: required('BENCH_TREE'), // whose scripts run it
    state: required('BENCH_STATE'),
    programs: required('BENCH_PROGRAMS'),
    url: required('BENCH_URL'),
    company: required('BENCH_COMPANY'),
    postgresBin: required('BENCH_POSTGRES_BIN'),
    seconds: Number(process.env.BENCH_SECONDS ?? 5), // of one run
    side: process.env.BENCH_SIDE, // of two commits that are compared, which this one is
    rounds: Number(process.env.BENCH_ROUNDS ?? 3), // of ours and theirs in turn
};

export function partPid(part) {
    return Number(readFileSync(path.join(stack.state, 'run', `${part}.pid`), 'latin1').split(' ')[0]);
}

export const PARTS = { gateway: 'gateway', worker: 'projects', RabbitMQ: 'broker', PostgreSQL: 'database' };

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function finished(child) {
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    return new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code) => resolve({ code, output }));
    });
}

// Runs a program to its end and returns what it prints; throws when it fails.
export async function run(command, args, options = {}) {
    const { code, output } = await finished(startChild(command, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options }));
    if (code !== 0) throw new Error(`${path.basename(command)} failed (${code}) ${output}`);
    return output;
}

const WARMUP = 1; // seconds before the measured ones

// Runs a program that takes --warmup and --duration (or whatever `timed` makes of them), and watches what each part costs
// in the measured time. Returns {output, cpu}.
export async function measured(command, args, { seconds = stack.seconds, timed, others = {} } = {}) {
    const times = timed ? timed(WARMUP, seconds) : ['--warmup', `${WARMUP}`, '--duration', `${seconds}`];
    const child = startChild(command, [...args, ...times], { stdio: ['ignore', 'pipe', 'inherit'] });
    const end = finished(child);
    const parts = { ...others, client: child.pid };
    for (const [name, file] of Object.entries(PARTS)) parts[name] = partPid(file);
    await pause(WARMUP + 0.1);
    const before = cpuSample(parts);
    await pause(seconds - 0.6); // a program that started fast is also done a little early
    const after = cpuSample(parts);
    const { code, output } = await end;
    if (code !== 0) throw new Error(`${path.basename(command)} failed (${code}): ${output}`);
    return { output, cpu: cpuBetween(before, after) };
}

// load, bound or events with JSON as their answer.
export async function measuredJson(program, args, options) {
    const { output, cpu } = await measured(path.join(stack.programs, program), args, options);
    return { ...JSON.parse(output), cpu };
}

// They find the token and the servers in the environment.
export const load = (args, options) => measuredJson('load', ['--json', ...args], options);

export const bound = (args, options) => measuredJson('bound', ['--json', '--role', 'cortex_projects', ...args], options);

// A project as people make them; {n} makes each another.
export const PROJECT = JSON.stringify({
    name: 'Bench {n}',
    description: 'A building that exists only to be created as fast as it goes',
    status: 'active',
    priority: 'high',
    start_date: '2026-03-01',
    end_date: '2027-09-30',
    budget: 1125632.5,
    address: '12 Quay Street, Auckland',
});

// The run, when every answer had that status; else it measured something else than it says.
export function onlyStatus(status, run) {
    const { statuses, broken, unanswered } = run;
    if (Object.keys(statuses).some((name) => Number(name) !== status) || broken || unanswered) {
        throw new Error(`not every request was answered ${status}: ${JSON.stringify({ statuses, broken, unanswered })}`);
    }
    return run;
}

export const create = async (args, options) => onlyStatus(201, await load(['--url', `${stack.url}/v1/projects`, '--body', PROJECT, ...args], options));

// Rows of one column, as the database's owner.
export async function sql(text) {
    return (await run(path.join(stack.postgresBin, 'psql'), ['-XAtq', '-c', text])).trim().split('\n').filter(Boolean);
}

// Ids of a thousand projects, from all over the table.
export async function projectIds(count = 1000) {
    const query = `SELECT id FROM project WHERE company_id = '${stack.company}' ORDER BY md5(id::text) LIMIT ${count}`;
    const ids = await sql(query);
    if (ids.length === count) return ids;
    await run(path.join(stack.programs, 'load'), ['--json', '--url', `${stack.url}/v1/projects`, '--body', PROJECT, '--duration', '3']);
    return sql(query);
}

// A file of their paths, for load.
export async function projectPaths() {
    const file = path.join(stack.state, 'projects.paths');
    writeFileSync(file, (await projectIds()).map((id) => `/v1/projects/${id}\n`).join(''));
    return file;
}

// ours and theirs in turn, so that whatever else the machine does meets both. Returns the runs of each. Where two commits are compared,
// each is measured alone: without theirs.
export async function alternate(ours, theirs, rounds = stack.rounds) {
    const runs = { ours: [], theirs: [] };
    for (let i = 0; i < (stack.side ? 1 : rounds); i++) {
        runs.ours.push(await ours());
        if (!stack.side) runs.theirs.push(await theirs());
    }
    return runs;
}
