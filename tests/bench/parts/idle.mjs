// What the gateway and the pools cost while nobody asks for anything: CPU time and wake-ups a second, all their processes together. What their
// servers cost meanwhile is the comparison.
import { readFileSync, readdirSync } from 'node:fs';
import { family } from '../processes.mjs';
import { partPid, pause, stack } from '../stack.mjs';

const SECONDS = Math.max(20, stack.seconds); // system work is done every few seconds

const read = (file) => {
    try {
        return readFileSync(file, 'latin1');
    } catch {
        return ''; // the thread is gone
    }
};

// Nanoseconds on a CPU and voluntary switches (a thread that waits, and is woken) of every thread of the processes.
function sample(roots) {
    let cpu = 0;
    let wakeUps = 0;
    for (const { pid } of roots.flatMap((root) => family(root))) {
        for (const thread of readdirSync(`/proc/${pid}/task`)) {
            cpu += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]);
            wakeUps += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(`/proc/${pid}/task/${thread}/status`))?.[1] ?? 0);
        }
    }
    return { cpu, wakeUps };
}

async function watch(roots) {
    const before = sample(roots);
    await pause(SECONDS);
    const after = sample(roots);
    return { ms: (after.cpu - before.cpu) / 1e6 / SECONDS, wakeUps: (after.wakeUps - before.wakeUps) / SECONDS };
}

export async function measure() {
    await pause(10); // connections made, the first system work done
    const [ours, further, theirs] = await Promise.all([
        watch([partPid('gateway'), partPid('projects')]), watch([partPid('webhooks')]), watch([partPid('broker'), partPid('database')])]);
    const row = (whose, ours, what, name, unit, most) => ({
        what: `${whose}, idle: ${what}`,
        ours: ours[name],
        theirs: theirs[name],
        unit,
        against: 'RabbitMQ and PostgreSQL, idle',
        goal: { value: most, atLeast: false },
    });
    const both = (whose, ours, ms, wakeUps) => [row(whose, ours, 'CPU a second', 'ms', ' ms', ms), row(whose, ours, 'wake-ups a second', 'wakeUps', '', wakeUps)];
    return { rows: [...both('gateway and pool', ours, 2.5, 40), ...both('a further pool', further, 1.25, 20)], costs: [] };
}
