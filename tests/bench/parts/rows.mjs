// Create, read and list in a database with many rows, against the same one before they were there. BENCH_ROWS: how many (1,000,000); half of
// them are the company's that is measured, the rest belongs to a hundred others.
import { create, load, median, onlyStatus, projectPaths, sql, stack } from '../stack.mjs';

const ROWS = Number(process.env.BENCH_ROWS ?? 1_000_000);
const PIECE = 250_000; // a statement, so that none lasts too long
const OTHERS = 100;

async function fill() {
    const others = await sql(`INSERT INTO company (id, name) SELECT gen_random_uuid(), 'Bench' FROM generate_series(1, ${OTHERS}) RETURNING id`);
    for (let from = 0; from < ROWS; from += PIECE) {
        const to = Math.min(ROWS, from + PIECE);
        console.error(`bench: rows: ${to.toLocaleString('en-US')} of ${ROWS.toLocaleString('en-US')}`);
        await sql(`INSERT INTO project (company_id, id, number, name, description, status, priority, created_at, updated_at)
            SELECT CASE WHEN i % 2 = 0 THEN '${stack.company}'::uuid ELSE ('{${others.join(',')}}'::uuid[])[1 + i % ${OTHERS}] END,
                   gen_random_uuid(), 'ROW-' || i, 'Building ' || i, 'A building of ' || md5(i::text),
                   ('{planning,active,on-hold,completed,cancelled}'::text[])[1 + i % 5], ('{low,medium,high,critical}'::text[])[1 + i / 5 % 4],
                   now() - i * interval '1 s', now()
            FROM generate_series(${from} + 1, ${to}) AS i`);
    }
    await sql('VACUUM ANALYZE project');
}

// The texts of so many rows get into the search's blocks while others work; what that costs is not what is measured here.
const forgetTexts = () => sql('TRUNCATE project_text_changed');

const list = ['--url', `${stack.url}/v1/projects?status=active&limit=50`, '--connections', '64'];

const LOADS = {
    'create → 201, 64 connections': () => create(['--connections', '64']),
    'GET /v1/projects/{id}, 64 connections': async () => onlyStatus(200, await load(['--url', stack.url, '--paths', await projectPaths(), '--connections', '64'])),
    'GET /v1/projects, a page of 50 by status, 64 connections': async () => onlyStatus(200, await load(list)),
};

async function measureAll() {
    const rates = {};
    for (const [what, run] of Object.entries(LOADS)) {
        const runs = [];
        for (let i = 0; i < stack.rounds; i++) runs.push(await run());
        rates[what] = median(runs.map((one) => one.per_second));
    }
    return rates;
}

export async function measure() {
    const empty = await measureAll();
    await fill();
    await forgetTexts();
    const full = await measureAll();
    return {
        rows: Object.keys(LOADS).map((what) => ({
            what: `${what}, ${ROWS.toLocaleString('en-US')} rows`,
            ours: full[what],
            theirs: empty[what],
            unit: '/s',
            against: 'hardly any rows',
            goal: { ratio: 0.9, atLeast: true },
        })),
        costs: [],
    };
}
