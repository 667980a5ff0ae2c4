// A tenth of the sockets stop reading: what the others notice, and what memory that takes.
import { complete, fanout, listen, LISTENERS, ours } from '../fanout.mjs';
import { memoryOf } from '../processes.mjs';
import { alternate, median, pause } from '../stack.mjs';

const MB = 1024 * 1024;
const STALLED = LISTENERS / 10;
const ROUNDS = 5; // two of them differed by more than what is looked for
const TRAFFIC = ['--rate', '20', '--size', '8000'];

// The same number of sockets that read, so that only those who stall are the difference.
const all = async () => complete(await fanout(ours(), [...TRAFFIC, '--listeners', `${LISTENERS - STALLED}`]));

async function withStalled() {
    const server = ours();
    const resident = () => server.pids().reduce((sum, { pid }) => sum + memoryOf(pid).rss, 0);
    const audience = await listen(server, [...TRAFFIC, '--stalled', `${STALLED}`]);
    const before = resident();
    let most = before;
    let over = false;
    const run = audience.publish(async () => {
        while (!over) {
            most = Math.max(most, resident());
            await pause(0.1);
        }
    });
    setTimeout(() => (over = true), 5000);
    return { ...complete(await run), grown: most - before };
}

export async function measure() {
    const runs = await alternate(withStalled, all, ROUNDS);
    const p99 = (of) => median(of.map((run) => run.p99_us / 1000));
    const grown = Math.max(...runs.ours.map((run) => run.grown)) / MB;
    return {
        rows: [
            {
                what: `${STALLED.toLocaleString('en-US')} stalled readers: p99 of the others`,
                detail: `memory grows by ${grown.toFixed(0)} MB`,
                ours: p99(runs.ours),
                theirs: p99(runs.theirs),
                unit: ' ms',
                against: 'nobody stalls',
                goal: { ratio: 1.2, atLeast: false },
            },
        ],
        costs: [],
    };
}
