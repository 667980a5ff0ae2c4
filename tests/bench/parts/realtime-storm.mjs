// Everybody comes at once, each with a token of its own: from connect to the answer to its subscription.
import { listen, LISTENERS, ours, usualNode } from '../fanout.mjs';
import { alternate, median } from '../stack.mjs';

async function storm(server) {
    const audience = await listen(server, []);
    await audience.leave();
    return audience.connected;
}

export async function measure() {
    const node = await usualNode();
    try {
        const runs = await alternate(() => storm(ours()), () => storm(node), 2);
        const row = (what, unit, of) => ({ what, unit, ours: median(runs.ours.map(of)), theirs: median(runs.theirs.map(of)), against: 'Node ws (also checks tokens)' });
        const count = LISTENERS.toLocaleString('en-US');
        return {
            rows: [
                row(`${count} handshakes with their tokens, 256 at once: all of them`, ' ms', (run) => run.connect_us / 1000),
                row('  one of them: p99', ' ms', (run) => run.p99_us / 1000),
            ],
            costs: [],
        };
    } finally {
        node.stop();
    }
}
