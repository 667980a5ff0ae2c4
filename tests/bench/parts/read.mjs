// GET of one project through the API, against the same statement by pgbench (PostgreSQL's own load generator).
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { alternate, load, median, measured, onlyStatus, projectIds, projectPaths, sql, stack } from '../stack.mjs';
import { costs } from '../costs.mjs';

// What a read cannot do without: one row by its key, under the company's row-level security.
function pgbenchScript(ids) {
    const file = path.join(stack.state, 'read.sql');
    writeFileSync(
        file,
        `\\set at random(1, ${ids.length})
\\startpipeline
SELECT set_config('cortex.company', '${stack.company}', false);
SELECT row_to_json(p) FROM project p WHERE company_id = '${stack.company}' AND id = (SELECT id FROM bench_ids WHERE at = :at);
\\endpipeline
`,
    );
    return file;
}

async function pgbench(script) {
    const { output, cpu } = await measured(
        path.join(stack.postgresBin, 'pgbench'),
        ['--no-vacuum', '--protocol', 'prepared', '--client', '8', '--jobs', '1', '--file', script],
        { timed: (warmup, seconds) => ['--time', `${warmup + seconds}`] },
    );
    return { per_second: Number(/tps = ([\d.]+)/.exec(output)[1]), cpu };
}

export async function measure() {
    const paths = await projectPaths();
    const ids = await projectIds();
    await sql(`CREATE TABLE bench_ids (at integer PRIMARY KEY, id uuid NOT NULL);
               INSERT INTO bench_ids SELECT row_number() OVER (), id FROM unnest('{${ids.join(',')}}'::uuid[]) AS id;
               ANALYZE bench_ids, project`);
    const script = pgbenchScript(ids);
    const { ours, theirs } = await alternate(
        async () => onlyStatus(200, await load(['--url', stack.url, '--paths', paths, '--connections', '64'])),
        () => pgbench(script),
    );
    await sql('DROP TABLE bench_ids');
    const rate = (runs) => median(runs.map((r) => r.per_second));
    return {
        rows: [
            {
                what: 'GET /v1/projects/{id}, 64 connections',
                ours: rate(ours),
                theirs: rate(theirs),
                unit: '/s',
                against: 'pgbench, the same row, 8 connections',
                goal: { value: 8000, atLeast: true },
            },
        ],
        costs: [costs('GET /v1/projects/{id}', ours, (r) => r.per_second), costs('  pgbench', theirs, (r) => r.per_second)],
    };
}
