// What a connection costs that listens and hears nothing: resident memory of the server, and the kernel's apart.
import { kernelMemory, listen, LISTENERS, nchan, ours, usualNode } from '../fanout.mjs';
import { memoryOf } from '../processes.mjs';
import { pause, stack } from '../stack.mjs';

const KB = 1024;

async function perConnection(server) {
    const resident = () => server.pids().reduce((sum, { pid }) => sum + memoryOf(pid).rss, 0);
    const before = { resident: resident(), kernel: kernelMemory() };
    const audience = await listen(server, []);
    await pause(1);
    const after = { resident: resident(), kernel: kernelMemory() };
    await audience.leave();
    const of = (name) => (after[name] - before[name]) / LISTENERS / KB;
    return { resident: of('resident'), kernel: of('kernel') };
}

export async function measure() {
    const rows = [];
    const own = await perConnection(ours());
    for (const start of [nchan, usualNode]) {
        const other = await start();
        const theirs = await perConnection(other);
        other.stop();
        rows.push({
            what: 'resident per idle WebSocket',
            detail: `the kernel, both ends: ${own.kernel.toFixed(1)} KB`,
            ours: own.resident,
            theirs: theirs.resident,
            unit: ' KB',
            against: other.name,
            goal: { value: 3, atLeast: false },
        });
    }
    return { rows, costs: [] };
}
