// A hundred companies, a hundred sockets each, an event a second to each company: from publish to frame.
import { complete, fanout, LISTENERS, nchan, ours } from '../fanout.mjs';
import { alternate, median } from '../stack.mjs';
import { costs } from '../costs.mjs';

const COMPANIES = 100;

const measured = (server) => fanout(server, ['--rate', `${COMPANIES}`], { companyCount: COMPANIES });
const lost = (runs) => runs.reduce((sum, run) => sum + run.expected - run.delivered, 0);

export async function measure() {
    const other = await nchan();
    try {
        const runs = await alternate(async () => complete(await measured(ours())), () => measured(other), 2);
        const p99 = (runs) => median(runs.map((run) => run.p99_us / 1000));
        return {
            rows: [
                {
                    what: `${LISTENERS.toLocaleString('en-US')} clients, 1 event/s to each of ${COMPANIES} companies: p99, none lost`,
                    ours: p99(runs.ours),
                    theirs: p99(runs.theirs),
                    unit: ' ms',
                    against: `nchan, events by POST (${lost(runs.theirs)} lost)`,
                    goal: { value: 20, atLeast: false },
                },
            ],
            costs: [costs('delivery, 100 companies', runs.ours, (run) => run.per_second), costs('  nchan', runs.theirs, (run) => run.per_second)],
        };
    } finally {
        await other.stop();
    }
}
