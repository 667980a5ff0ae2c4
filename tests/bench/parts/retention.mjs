// What retention of results costs, in two ways. Steadily: as many results get too old each second as a full load made a week before, and are
// deleted as they do; so this row is the answer to "does it keep up, and for how much". As a pile: more than it can delete, as fast as it goes,
// which is how it works after each hour.
import { spawn } from 'node:child_process';
import path from 'node:path';

import { costs } from '../costs.mjs';
import { alternate, create, median, pause, sql, stack } from '../stack.mjs';

const OLD = Number(process.env.BENCH_OLD_RESULTS ?? 1_000_000);

const oldOnes = async () => Number((await sql("SELECT count(*) FROM inbox WHERE at < now() - interval '29 days'"))[0]);

const fill = () => sql(`INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, at)
    SELECT '${stack.company}', gen_random_uuid(), 0, 'ok', 201, n, now() - interval '40 days' + n * interval '1 ms' FROM generate_series(1, ${OLD}) AS n;
    ANALYZE inbox`);

const work = (isOn) => sql(`UPDATE schedule SET enabled = ${isOn}, run_at = NULL, asked_at = ${isOn ? 'now()' : 'NULL'}, step_at = now()
    WHERE name = 'inbox.retention'`);

const created = async () => Number((await sql(`SELECT sum(seq) FROM company_sequence`))[0]);

async function withRetention() {
    const [old, before] = [await oldOnes(), await created()];
    await work(true);
    const result = await create(['--connections', '64']);
    await work(false);
    const [left, after] = [await oldOnes(), await created()];
    if (left === 0) throw new Error('retention had nothing left to do before the end: BENCH_OLD_RESULTS must be more');
    return { ...result, deleted: old - left, made: after - before };
}

// ---- steadily ----

const RATE = Number(process.env.BENCH_EXPIRE_PER_S ?? 6500);
const MARK = 6500; // the fingerprint of these rows
const LEAD_S = 5; // from the statement that makes the rows until the first of them is too old
// A run of retention begins up to a second after it is asked for, so a short time would say little.
const STEADY_S = Math.max(10, stack.seconds);

// One session asks for the next run as soon as the last one has ended, as if it were always time.
function keepAsking(isOn) {
    const statement = `UPDATE schedule SET asked_at = now(), step_at = now() WHERE ${isOn} AND name = 'inbox.retention' AND run_at IS NULL AND asked_at IS NULL`;
    return spawn(path.join(stack.postgresBin, 'psql'), ['-XAtqc', `DO $$ BEGIN LOOP ${statement}; COMMIT; PERFORM pg_sleep(0.1); END LOOP; END $$`],
        { stdio: 'ignore' });
}

async function steadily(isOn) {
    await work(isOn);
    await sql(`DELETE FROM inbox WHERE fingerprint = ${MARK}`);
    const [first] = await sql(`INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, at)
        SELECT '${stack.company}', gen_random_uuid(), ${MARK}, 'ok', 201, n, now() - interval '7 days' + ${LEAD_S} * interval '1 s' + n * interval '1 s' / ${RATE}
        FROM generate_series(1, ${Math.ceil(RATE * (STEADY_S + 10))}) AS n;
        SELECT extract(epoch FROM min(at) + interval '7 days' - clock_timestamp()) FROM inbox WHERE fingerprint = ${MARK}`);
    await pause(Math.max(0, Number(first)));
    const asking = keepAsking(isOn);
    const [before] = await sql(`SELECT count(*) || ' ' || extract(epoch FROM now()) FROM inbox WHERE fingerprint = ${MARK}`);
    const result = await create(['--connections', '64'], { seconds: STEADY_S });
    const [after] = await sql(`SELECT count(*) || ' ' || extract(epoch FROM now()) || ' ' || count(*) FILTER (WHERE at < now() - interval '7 days')
        FROM inbox WHERE fingerprint = ${MARK}`);
    asking.kill();
    await work(false);
    await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO $$ BEGIN LOOP%'");
    const [rowsBefore, from] = before.split(' ').map(Number), [rows, to, late] = after.split(' ').map(Number);
    return { ...result, deleted_per_second: (rowsBefore - rows) / (to - from), late };
}

// ---- all ----

export async function measure() {
    const steady = await alternate(() => steadily(true), () => steadily(false));
    await sql(`DELETE FROM inbox WHERE fingerprint = ${MARK}`);
    const pile = await measurePile();
    return {
        rows: [
            {
                what: `create → 201 while ${RATE} results a second get too old and go, 64 connections`,
                ours: median(steady.ours.map((run) => run.per_second)),
                theirs: median(steady.theirs.map((run) => run.per_second)),
                unit: '/s',
                against: 'no retention',
                goal: { ratio: 0.9, atLeast: true },
            },
            {
                what: 'results deleted a second meanwhile',
                ours: median(steady.ours.map((run) => run.deleted_per_second)),
                theirs: RATE,
                unit: '/s',
                against: 'results that get too old',
                goal: { ratio: 0.95, atLeast: true },
            },
            ...pile.rows,
        ],
        costs: [costs('create, steady retention', steady.ours, (run) => run.per_second), costs('  without', steady.theirs, (run) => run.per_second),
            ...pile.costs],
    };
}

// ---- a pile ----

async function measurePile() {
    await work(false);
    await fill();
    const { ours, theirs } = await alternate(withRetention, () => create(['--connections', '64']));
    await sql("DELETE FROM inbox WHERE at < now() - interval '29 days'");
    await sql('VACUUM inbox');
    await work(true);
    return {
        rows: [
            {
                what: 'create → 201 while a pile of old results goes, 64 connections',
                ours: median(ours.map((run) => run.per_second)),
                theirs: median(theirs.map((run) => run.per_second)),
                unit: '/s',
                against: 'no retention',
                goal: { ratio: 0.9, atLeast: true },
            },
            {
                what: 'old results deleted meanwhile',
                ours: median(ours.map((run) => run.deleted)),
                theirs: median(ours.map((run) => run.made)),
                unit: '',
                against: 'results made meanwhile',
                goal: { ratio: 1, atLeast: true },
            },
        ],
        costs: [costs('create with a pile', ours, (run) => run.per_second), costs('  without', theirs, (run) => run.per_second)],
    };
}
