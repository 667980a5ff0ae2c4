// Memory of each process under load for a long time: it rises to what the load needs and then stays. BENCH_ENDURANCE_S: seconds (600), of
// which the first fifth is for rising.
import { family, memoryOf } from '../processes.mjs';
import { PARTS, create, partPid, pause } from '../stack.mjs';

const SECONDS = Number(process.env.BENCH_ENDURANCE_S ?? 600);
const RISING = 0.2;
const EVERY_S = 1;
const MB = 1024 * 1024;

// The backends of PostgreSQL share their buffers, which fill; the broker collects its garbage when it likes. Ours are gateway and worker.
const OURS = ['gateway', 'worker'];

const largest = (part) => Math.max(...family(partPid(PARTS[part])).map(({ pid }) => {
    try {
        return memoryOf(pid).rss;
    } catch {
        return 0; // it has just ended
    }
}));

export async function measure() {
    const most = { rising: {}, steady: {} };
    let isOver = false;
    const load = create(['--connections', '64', '--rate', '1000'], { seconds: SECONDS }).finally(() => (isOver = true));
    load.catch(() => {}); // it is awaited below
    for (const begin = performance.now(); !isOver; await pause(EVERY_S)) {
        const phase = performance.now() - begin < SECONDS * RISING * 1000 ? most.rising : most.steady;
        for (const part of Object.keys(PARTS)) phase[part] = Math.max(phase[part] ?? 0, largest(part));
    }
    await load;
    return {
        rows: Object.keys(PARTS).map((part) => ({
            what: `${part}, 1,000 creates a second for ${SECONDS} s: largest resident`,
            ours: most.steady[part] / MB,
            theirs: most.rising[part] / MB,
            unit: ' MB',
            against: 'in the first fifth',
            goal: OURS.includes(part) ? { ratio: 1.05, atLeast: false } : undefined,
        })),
        costs: [],
    };
}
