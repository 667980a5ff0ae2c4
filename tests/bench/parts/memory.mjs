// Resident memory of each process with no client, against an nginx worker.
import { startNginx } from '../nginx.mjs';
import { family, memoryOf } from '../processes.mjs';
import { partPid } from '../stack.mjs';

const MB = 1024 * 1024;
const GOAL = 20;

// The largest process below one: managers are smaller than what they manage.
function largest(root) {
    return family(root)
        .map((process) => memoryOf(process.pid))
        .reduce((a, b) => (b.rss > a.rss ? b : a));
}

// Taken before anything has been asked of the stack: run.mjs runs this part first.
export async function measure() {
    const nginx = await startNginx(1, false, 'ok');
    const theirs = largest(nginx.pid());
    await nginx.stop();
    const row = (what, part) => {
        const ours = largest(partPid(part));
        return {
            what: `${what}, no client: resident`,
            detail: `shared pages divided: ${(ours.pss / MB).toFixed(1)} MB`,
            ours: ours.rss / MB,
            theirs: theirs.rss / MB,
            unit: ' MB',
            against: `an nginx worker (${(theirs.pss / MB).toFixed(1)} MB)`,
            goal: { value: GOAL, atLeast: false },
        };
    };
    return { rows: [row('gateway', 'gateway'), row('worker', 'projects')], costs: [] };
}
