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

// One at a time, few, as many as one process answers with ease, and more than the partition takes at once. The goals are those of the two
// in which commands gather.
const IN_FLIGHT = [{ count: 1 }, { count: 8 }, { count: 64, goal: { ratio: 0.8, atLeast: true } }, { count: 512, goal: { ratio: 0.8, atLeast: true } }];
const rate = (runs) => median(runs.map((run) => run.per_second));
const connections = (count) => (count === 1 ? '1 connection' : `${count} connections`);

async function throughput({ count, goal }) {
    const { ours, theirs } = await alternate(
        () => withWal(() => create(['--connections', `${count}`])),
        () => withWal(() => bound(['--in-flight', `${count}`])),
    );
    return {
        rows: [
            {
                what: `create → 201, ${connections(count)}`,
                ours: rate(ours),
                theirs: rate(theirs),
                unit: '/s',
                against: `bare chain, ${count} in flight`,
                goal,
            },
            {
                what: `WAL of a create, ${connections(count)}`,
                ours: median(ours.map((run) => run.wal)),
                theirs: median(theirs.map((run) => run.wal)),
                unit: ' B',
                against: 'bare chain',
            },
        ],
        costs: [costs(`create → 201, ${connections(count)}`, ours, (run) => run.per_second),
            costs(`  bare chain, ${count} in flight`, theirs, (run) => run.per_second)],
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
                goal: { ratio: 1.2, atLeast: false },
            },
        ],
        costs: [costs('create at 1,000 /s', ours, (run) => run.per_second), costs('  bare chain at 1,000 /s', theirs, (run) => run.per_second)],
    };
}

export async function measure() {
    const results = [];
    for (const load of IN_FLIGHT) results.push(await throughput(load));
    results.push(await latency());
    return { rows: results.flatMap(({ rows }) => rows), costs: results.flatMap((result) => result.costs) };
}
