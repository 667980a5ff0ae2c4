// Creates while retention deletes old results as fast as it goes, against the same without it; and how many it deletes meanwhile, against
// how many the creates make.
import { costs } from '../costs.mjs';
import { alternate, create, median, sql, stack } from '../stack.mjs';

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

export async function measure() {
    await work(false);
    await fill();
    const { ours, theirs } = await alternate(withRetention, () => create(['--connections', '64']));
    await sql("DELETE FROM inbox WHERE at < now() - interval '29 days'");
    await sql('VACUUM inbox');
    await work(true);
    return {
        rows: [
            {
                what: 'create → 201 while old results go, 64 connections',
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
        costs: [costs('create with retention', ours, (run) => run.per_second), costs('  without', theirs, (run) => run.per_second)],
    };
}
