// What the parts of the stack cost: CPU time and memory from /proc, by part.
import { readFileSync, readdirSync } from 'node:fs';

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux that we run on

// Every process as {pid, parent, cpuSeconds}.
function everyProcess() {
    const found = [];
    for (const name of readdirSync('/proc')) {
        if (!/^\d+$/.test(name)) continue;
        let stat;
        try {
            stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        } catch {
            continue; // gone
        }
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        found.push({
            pid: Number(name),
            parent: Number(fields[1]),
            cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
        });
    }
    return found;
}

// root and everything below it.
export function family(root, processes = everyProcess()) {
    const pids = new Set([root]);
    for (let before = 0; before !== pids.size; ) {
        before = pids.size;
        for (const process of processes) if (pids.has(process.parent)) pids.add(process.pid);
    }
    return processes.filter((process) => pids.has(process.pid));
}

// CPU seconds so far: of each process of each part ({name: root pid}), and of the whole machine.
export function cpuSample(parts) {
    const processes = everyProcess();
    const seconds = {};
    for (const [name, root] of Object.entries(parts)) {
        seconds[name] = new Map(family(root, processes).map((process) => [process.pid, process.cpuSeconds]));
    }
    const machine = readFileSync('/proc/stat', 'latin1').split('\n')[0].trim().split(/\s+/).slice(1).map(Number);
    const [user, nice, system, , , interrupts, softInterrupts] = machine;
    const busy = (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND;
    return { at: performance.now() / 1000, seconds, busy };
}

// Between two samples: seconds of each part (of processes that lived to the end), and of everything else on the machine (its
// kernel threads, other programs).
export function cpuBetween(before, after) {
    const used = {};
    let known = 0;
    for (const [name, processes] of Object.entries(after.seconds)) {
        used[name] = 0;
        for (const [pid, seconds] of processes) used[name] += seconds - (before.seconds[name].get(pid) ?? 0);
        known += used[name];
    }
    return { wall: after.at - before.at, used, others: Math.max(0, after.busy - before.busy - known) };
}

// Resident and proportional size in bytes of one process.
export function memoryOf(pid) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)[1]) * 1024;
    return { pid, rss: kilobytes('Rss'), pss: kilobytes('Pss') };
}
