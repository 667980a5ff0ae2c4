// What 20 tenants do in a second while somebody with psql holds rows of one more, which keeps on sending: against the same while the
// transaction of that psql holds nothing that anybody wants. Once the sequence is held, which a batch passes over at once, and once a row that
// a batch has to wait for.
//
// A transaction that stays open costs by itself, whatever it holds: PostgreSQL keeps all versions that rows have had since it began, and each
// batch looks past those of its companies' sequences. A row of its own says how much.
import path from 'node:path';
import { PROJECT, alternate, median, pause, run, sql, stack } from '../stack.mjs';
import { addTenants, createByAll } from '../tenants.mjs';
import { startChild } from '../../lib/children.mjs';

const OTHERS = 20;
const OPEN = 'SELECT pg_current_xact_id()';
const LOCKS = {
    sequence: ({ id }) => `SELECT FROM company_sequence WHERE company_id = '${id}' FOR UPDATE`,
    counter: ({ id }) => `SELECT FROM counter WHERE company_id = '${id}' FOR UPDATE`,
};

// Resolves to what lets go.
async function hold(statement) {
    const session = startChild(path.join(stack.postgresBin, 'psql'), ['-XAtq'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const end = new Promise((resolve) => session.on('close', resolve));
    session.stdin.write(`BEGIN; ${statement}; SELECT 'held';\n`);
    await new Promise((resolve) => session.stdout.on('data', (text) => `${text}`.includes('held') && resolve()));
    return async () => {
        session.stdin.end('ROLLBACK;\n');
        await end;
    };
}

// The tenant sends all the while, and is answered 202 where its commands wait.
function send({ token }) {
    const load = startChild(path.join(stack.programs, 'load'), ['--json', '--url', `${stack.url}/v1/projects`, '--body', PROJECT, '--connections', '1',
        '--rate', '50', '--header', 'Prefer: respond-async', '--duration', '600'],
        { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, CORTEX_TOKEN: token } });
    const end = new Promise((resolve) => load.on('close', resolve));
    return async () => {
        load.kill('SIGTERM');
        await end;
    };
}

async function measuredBeside(tenant, others, statement) {
    const release = statement && (await hold(statement));
    const stop = send(tenant);
    try {
        return await createByAll(others, { connections: 1, warmup: 1, seconds: stack.seconds });
    } finally {
        await stop();
        await release?.();
        await untilDone(tenant);
    }
}

async function untilDone({ id }) {
    while (Number((await sql(`SELECT count(*) FROM deferred WHERE company_id = '${id}'`))[0]) > 0) await pause(0.1);
    await pause(1);
}

async function first({ token }) {
    await run(path.join(stack.programs, 'load'), ['--json', '--url', `${stack.url}/v1/projects`, '--body', PROJECT, '--requests', '10',
        '--connections', '1', '--duration', '10'], { env: { ...process.env, CORTEX_TOKEN: token } });
}

const rate = (runs) => median(runs.map((one) => one.per_second));

export async function measure() {
    const [tenant, ...others] = await addTenants(1 + OTHERS);
    await first(tenant); // so that it has a counter
    await measuredBeside(tenant, others); // caches, plans
    const rows = [];
    for (const [what, lock] of Object.entries(LOCKS)) {
        const { ours, theirs } = await alternate(
            () => measuredBeside(tenant, others, lock(tenant)),
            () => measuredBeside(tenant, others, OPEN),
        );
        rows.push({
            what: `creates of ${OTHERS} tenants while another one's ${what} is held`, unit: '/s', against: 'a transaction is open',
            ours: rate(ours), theirs: rate(theirs), goal: { ratio: 0.9, atLeast: true },
        });
    }
    const { ours, theirs } = await alternate(() => measuredBeside(tenant, others, OPEN), () => measuredBeside(tenant, others));
    rows.push({ what: `creates of ${OTHERS} tenants while a transaction is open`, unit: '/s', against: 'none is', ours: rate(ours), theirs: rate(theirs) });
    return { rows, costs: [] };
}
