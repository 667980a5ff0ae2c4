// More workers: a create that waits 5 ms in the database (a trigger of this bench), by 1, 2 and 4 workers; and a resize under load.
import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { family } from '../processes.mjs';
import { partPid, pause, sql, stack } from '../stack.mjs';
import { addTenants, createByAll } from '../tenants.mjs';

const WAIT_S = 0.005;
const TENANTS = 32;
const SETTLED_S = 2; // after a resize
const RESIZE_WITHIN_S = 120;

async function workersAre(count) {
    const query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cortex-worker projects'";
    for (let tries = 0; Number((await sql(query))[0]) !== count; tries++) {
        if (tries > 300) throw new Error(`there are never ${count} workers`);
        await pause(0.1);
    }
}

// One by one, as SIGTTIN and SIGTTOU do it.
async function resize(from, to) {
    for (let size = from; size !== to; size += Math.sign(to - from)) {
        process.kill(partPid('projects'), to > from ? 'SIGTTIN' : 'SIGTTOU');
        await workersAre(size + Math.sign(to - from));
    }
}

// One half of the load is there before, and for as long as it may take; the other half comes at the moment in which the last of the
// new workers is there, and is measured from SETTLED_S later on.
async function measuredAfterResize(tenants, from, to) {
    const enough = new AbortController();
    setMaxListeners(0, enough.signal); // each of the load's processes is one
    const busy = createByAll(tenants, { connections: 1, warmup: 0, seconds: RESIZE_WITHIN_S, signal: enough.signal });
    await pause(1);
    await resize(from, to);
    const after = await createByAll(tenants, { connections: 1, warmup: SETTLED_S, seconds: stack.seconds });
    enough.abort();
    await busy.catch((error) => {
        if (error.name !== 'AbortError') throw error;
    });
    return after;
}

const residentMb = () => Math.max(...family(partPid('projects')).map(({ pid }) =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024));

async function slowDown() {
    await sql(`CREATE FUNCTION bench_wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(${WAIT_S}); RETURN NEW; END'`);
    await sql('CREATE TRIGGER bench_wait BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION bench_wait()');
}

async function speedUp() {
    await sql('DROP TRIGGER bench_wait ON project');
    await sql('DROP FUNCTION bench_wait()');
}

export async function measure() {
    const tenants = await addTenants(TENANTS);
    const steady = () => createByAll(tenants, { connections: 2, warmup: SETTLED_S, seconds: stack.seconds });
    await slowDown();
    try {
        const one = await steady();
        await resize(1, 2);
        const two = await steady();
        const after = await measuredAfterResize(tenants, 2, 4);
        const four = await steady();
        const resident = residentMb();
        await resize(4, 1);
        const row = (what, run, goal) => ({ what, ours: run.per_second, theirs: one.per_second, unit: '/s', against: '1 worker', goal });
        return {
            rows: [
                row('creates that wait 5 ms, 2 workers', two, { ratio: 1.9, atLeast: true }),
                row('creates that wait 5 ms, 4 workers', four, { ratio: 3.6, atLeast: true }),
                { what: 'p99 from 2 s after a resize under load, 2 → 4', ours: after.p99_ms, theirs: four.p99_ms, unit: ' ms', against: 'steady, 4 workers', goal: { ratio: 1.5, atLeast: false } },
                { what: 'largest resident memory of a process of the pool', ours: resident, theirs: 64, unit: ' MB', against: 'the bound', goal: { value: 64, atLeast: false } },
            ],
            costs: [],
        };
    } finally {
        await speedUp();
    }
}
