// Create → 201 through the API, against the bare chain on the same servers and tables.
import { alternate, bound, create, median, sql } from '../stack.mjs';
import { costs } from '../costs.mjs';

// What a create writes into the WAL of PostgreSQL, with all that PostgreSQL writes besides (page images after a checkpoint, its own
// vacuum). Both sides advance their company's sequence by one for each.
async function withWal(measure) {
    const look = async () => (await sql("SELECT pg_current_wal_insert_lsn() - '0/0', sum(seq) FROM company_sequence"))[0].split('|').map(Number);
    const [bytes, creates] = await look();
    const run = await measure();
    const [bytesAfter, createsAfter] = await look();
    return { ...run, wal: (bytesAfter - bytes) / (createsAfter - creates) };
}

async function throughput() {
    const { ours, theirs } = await alternate(
        () => withWal(() => create(['--connections', '64'])),
        () => withWal(() => bound(['--in-flight', '64'])),
    );
    const rate = (runs) => median(runs.map((run) => run.per_second));
    return {
        rows: [
            {
                what: 'create → 201, 64 connections',
                ours: rate(ours),
                theirs: rate(theirs),
                unit: '/s',
                against: 'bare chain, 64 in flight',
                goal: { ratio: 0.6, atLeast: true },
            },
            {
                what: 'WAL of a create',
                ours: median(ours.map((run) => run.wal)),
                theirs: median(theirs.map((run) => run.wal)),
                unit: ' B',
                against: 'bare chain',
            },
        ],
        costs: [costs('create → 201, 64 connections', ours, (run) => run.per_second), costs('  bare chain, 64 in flight', theirs, (run) => run.per_second)],
    };
}

async function latency() {
    const { ours, theirs } = await alternate(
        () => create(['--connections', '256', '--rate', '1000']),
        () => bound(['--rate', '1000']),
    );
    const p99 = (runs) => median(runs.map((run) => run.p99_us / 1000));
    return {
        rows: [
            {
                what: 'create p99 at 1,000 /s',
                ours: p99(ours),
                theirs: p99(theirs),
                unit: ' ms',
                against: 'bare chain at 1,000 /s',
                goal: { value: 50, atLeast: false },
            },
        ],
        costs: [costs('create at 1,000 /s', ours, (run) => run.per_second), costs('  bare chain at 1,000 /s', theirs, (run) => run.per_second)],
    };
}

export async function measure() {
    const [fast, steady] = [await throughput(), await latency()];
    return { rows: [...fast.rows, ...steady.rows], costs: [...fast.costs, ...steady.costs] };
}
