// One company with all the sockets: how many frames' worth of events arrive in a second when more are always on their way.
import { fanout, LISTENERS, nchan, ours, usualNode } from '../fanout.mjs';
import { alternate, median } from '../stack.mjs';
import { costs } from '../costs.mjs';

const SECONDS = 4;
const saturate = (server) => fanout(server, ['--rate', '0', '--window', '64'], { seconds: SECONDS });
const rate = (run) => run.per_second;

async function against(start, ratio, rounds) {
    const other = await start();
    try {
        const runs = await alternate(() => saturate(ours()), () => saturate(other), rounds);
        const row = {
            what: `one company, ${LISTENERS.toLocaleString('en-US')} sockets: deliveries at saturation`,
            ours: median(runs.ours.map(rate)),
            theirs: median(runs.theirs.map(rate)),
            unit: '/s',
            against: other.name,
            goal: { ratio, atLeast: true },
        };
        const read = runs.ours.reduce((sum, run) => sum + run.delivered / run.reads, 0) / rounds;
        return { row, costs: [costs(`delivery, saturated (${read.toFixed(1)} events a read)`, runs.ours, rate), costs(`  ${other.name}`, runs.theirs, rate)] };
    } finally {
        await other.stop();
    }
}

export async function measure() {
    const results = [await against(usualNode, 5, 1), await against(nchan, 3, 2)];
    return { rows: results.map(({ row }) => row), costs: results.flatMap((result) => result.costs) };
}
