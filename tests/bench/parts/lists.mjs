// Lists of 50 through the API: with a filter and a sort, against the same rows by pgbench; and under `member` (200 of 1,000 projects), as
// somebody sees them who is of some projects, against somebody who sees all.
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { costs } from '../costs.mjs';
import { alternate, load, median, measured, onlyStatus, run, sql, stack } from '../stack.mjs';
import { addTenants } from '../tenants.mjs';
import { claimsOf, sign } from '../../lib/token.mjs';

const TASKS = 10_000;
const PROJECTS = 1000, MEMBER_OF = 200;

// Every other task is to be done, and every third has no date.
async function addTasks() {
    const [project, actor] = [randomUUID(), randomUUID()];
    await sql(`INSERT INTO project (company_id, id, number, name) VALUES ('${stack.company}', '${project}', 'LISTS-${project}', 'Lists');
        INSERT INTO task (company_id, id, project_id, title, creator_id, status, due_date)
        SELECT '${stack.company}', gen_random_uuid(), '${project}', 'Task ' || i, '${actor}', CASE WHEN i % 2 = 0 THEN 'todo' ELSE 'in-progress' END,
               CASE WHEN i % 3 > 0 THEN date '2026-01-01' + i / 20 END FROM generate_series(1, ${TASKS}) AS i;
        ANALYZE project, task`);
    return project;
}

// What such a list cannot do without: the rows along the index of the sort, until 51 fit.
async function pgbench(project) {
    const file = path.join(stack.state, 'lists.sql');
    writeFileSync(file, `\\startpipeline
SELECT set_config('cortex.company', '${stack.company}', false);
SELECT row_to_json(t) FROM task AS t WHERE company_id = '${stack.company}' AND project_id = '${project}' AND status = 'todo' AND due_date IS NOT NULL
 ORDER BY due_date, id LIMIT 51;
\\endpipeline
`);
    const { output, cpu } = await measured(path.join(stack.postgresBin, 'pgbench'),
        ['--no-vacuum', '--protocol', 'prepared', '--client', '8', '--jobs', '1', '--file', file], { timed: (warmup, seconds) => ['--time', `${warmup + seconds}`] });
    return { per_second: Number(/tps = ([\d.]+)/.exec(output)[1]), cpu };
}

async function filteredAndSorted() {
    const project = await addTasks(), url = `${stack.url}/v1/projects/${project}/tasks?limit=50&status=todo&sort=due_date`;
    const { ours, theirs } = await alternate(async () => onlyStatus(200, await load(['--url', url, '--connections', '64'])), () => pgbench(project));
    const rate = (runs) => median(runs.map((one) => one.per_second));
    return {
        rows: [{
            what: 'list of 50 tasks of 10,000 with filter and sort, 64 connections', ours: rate(ours), theirs: rate(theirs), unit: '/s',
            against: 'pgbench, the same rows, 8 connections', goal: { ratio: 0.8, atLeast: true },
        }],
        costs: [costs('list of 50 with filter and sort', ours, (one) => one.per_second), costs('  pgbench', theirs, (one) => one.per_second)],
    };
}

// Milliseconds from the request to the answer, one at a time.
async function time(token) {
    const output = await run(path.join(stack.programs, 'load'), ['--json', '--url', `${stack.url}/v1/projects?limit=50`, '--connections', '1',
        '--warmup', '1', '--duration', `${stack.seconds}`], { env: { ...process.env, CORTEX_TOKEN: token } });
    return onlyStatus(200, JSON.parse(output)).p50_us / 1000;
}

async function underMember() {
    const [{ id: company, token }] = await addTenants(1), user = randomUUID();
    await sql(`INSERT INTO app_user (company_id, id, email, name, role) VALUES ('${company}', '${user}', '${user}@bench.example', 'Bench', 'supervisor');
        INSERT INTO project (company_id, id, number, name) SELECT '${company}', gen_random_uuid(), 'M-' || i, 'Building ' || i FROM generate_series(1, ${PROJECTS}) AS i;
        INSERT INTO project_member (company_id, id, project_id, user_id)
        SELECT '${company}', gen_random_uuid(), id, '${user}' FROM (SELECT id FROM project WHERE company_id = '${company}' ORDER BY md5(id::text) LIMIT ${MEMBER_OF}) AS p;
        ANALYZE project, project_member`);
    const secret = readFileSync(path.join(stack.state, 'secrets', 'token_key'), 'utf8').trim();
    const member = sign(claimsOf({ company, user, role: 'supervisor' }), secret);
    const { ours, theirs } = await alternate(() => time(member), () => time(token));
    return {
        rows: [{
            what: `list of 50 under member, ${MEMBER_OF} of ${PROJECTS} projects`, ours: median(ours), theirs: median(theirs), unit: ' ms', against: 'under any',
            goal: { ratio: 1.3, atLeast: false },
        }],
        costs: [],
    };
}

export async function measure() {
    const [list, member] = [await filteredAndSorted(), await underMember()];
    return { rows: [...list.rows, ...member.rows], costs: list.costs };
}
