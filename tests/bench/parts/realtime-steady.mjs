// One company with all the sockets at the highest steady rate that nchan still carries: how old events are when they arrive.
import { complete, fanout, nchan, ours, usualNode } from '../fanout.mjs';
import { alternate, median } from '../stack.mjs';
import { costs } from '../costs.mjs';

const p99 = (runs) => median(runs.map((run) => run.p99_us / 1000));
const steady = (server, rate) => fanout(server, ['--rate', `${rate}`]);

// Half of what it takes when it is asked for all that it can, and less until the queue does not grow: nothing is older than a second.
async function carried(server) {
    const saturated = await fanout(server, ['--rate', '0', '--window', '16'], { seconds: 3 });
    for (let rate = Math.max(1, Math.floor((saturated.published / 4) * 0.7)); rate > 1; rate = Math.floor(rate * 0.7)) {
        const run = await steady(server, rate);
        if (run.delivered === run.expected && run.p99_us < 1e6) return { rate, run };
    }
    return { rate: 1, run: complete(await steady(server, 1)) };
}

export async function measure() {
    const [pushed, node] = [await nchan(), await usualNode()];
    try {
        const { rate, run } = await carried(pushed);
        const { ours: own, theirs } = await alternate(async () => complete(await steady(ours(), rate)), () => steady(pushed, rate), 2);
        const usual = await steady(node, rate);
        const row = (others, against) => ({
            what: `one company at ${rate} events/s (what nchan carries): age p99`,
            ours: p99(own),
            theirs: p99(others),
            unit: ' ms',
            against,
            goal: { ratio: 1, atLeast: false },
        });
        const rates = (r) => r.per_second;
        return {
            rows: [row([run, ...theirs], 'nchan'), row([usual], 'Node ws')],
            costs: [costs('delivery, steady', own, rates), costs('  nchan', [run, ...theirs], rates), costs('  Node ws', [usual], rates)],
        };
    } finally {
        await pushed.stop();
        node.stop();
    }
}
