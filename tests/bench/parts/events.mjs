// From a POST to the WebSocket frame of its event, against the bare chain's publish to event.
import { alternate, bound, measuredJson, median, stack } from '../stack.mjs';
import { costs } from '../costs.mjs';

const RATE = 500;

async function events() {
    const run = await measuredJson('events', ['--url', stack.url, '--company', stack.company, '--rate', `${RATE}`]);
    if (run.events !== run.posts) throw new Error(`${run.posts} creates, but ${run.events} events arrived`);
    return run;
}

export async function measure() {
    const { ours, theirs } = await alternate(events, () => bound(['--rate', `${RATE}`]));
    const of = (runs, name) => median(runs.map((run) => run[name] / 1000));
    const row = (what, name, goal) => ({
        what,
        ours: of(ours, name),
        theirs: of(theirs, name),
        unit: ' ms',
        against: `bare chain at ${RATE} /s`,
        goal: { value: goal, atLeast: false },
    });
    return {
        rows: [row(`POST → frame p50 at ${RATE} /s`, 'p50_us', 25), row(`POST → frame p99 at ${RATE} /s`, 'p99_us', 25)],
        costs: [costs(`POST → frame at ${RATE} /s`, ours, (run) => run.post.per_second), costs(`  bare chain at ${RATE} /s`, theirs, (run) => run.per_second)],
    };
}
