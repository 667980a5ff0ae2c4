// Create → 201 through the API, against the bare chain on the same servers and tables.
import { alternate, bound, create, median } from '../stack.mjs';
import { costs } from '../costs.mjs';

async function throughput() {
    const { ours, theirs } = await alternate(
        () => create(['--connections', '64']),
        () => bound(['--in-flight', '64']),
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
