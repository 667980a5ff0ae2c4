// Many companies at once, spread evenly over the partitions: each has a load of its own, with its own token.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { PARTITIONS, companyOf } from '../lib/partition.mjs';
import { claimsOf, sign } from '../lib/token.mjs';
import { PROJECT, onlyStatus, run, sql, stack } from './stack.mjs';

// `count` companies as {id, token}, as many in each partition: the i-th is in partition i % PARTITIONS.
export async function addTenants(count, role = 'company_admin') {
    const secret = readFileSync(path.join(stack.state, 'secrets', 'token_key'), 'utf8').trim();
    const ids = Array.from({ length: count }, (_, i) => companyOf(i % PARTITIONS));
    await sql(`INSERT INTO company (id, name) VALUES ${ids.map((id) => `('${id}', 'Bench')`).join(', ')}`);
    return ids.map((id) => ({ id, token: sign(claimsOf({ company: id, role }), secret) }));
}

// Each tenant creates projects over `connections`. Returns how many a second all of them made, and the worst p99 of one; when `signal`
// aborts it, all end and it rejects.
export async function createByAll(tenants, { connections, warmup, seconds, signal }) {
    const runs = await Promise.all(tenants.map(async ({ token }) => onlyStatus(201, JSON.parse(await run(path.join(stack.programs, 'load'), [
        '--json', '--url', `${stack.url}/v1/projects`, '--body', PROJECT, '--connections', `${connections}`,
        '--warmup', `${warmup}`, '--duration', `${seconds}`,
    ], { signal, env: { ...process.env, CORTEX_TOKEN: token } })))));
    return {
        per_second: runs.reduce((sum, one) => sum + one.per_second, 0),
        p99_ms: Math.max(...runs.map((one) => one.p99_us / 1000)),
    };
}
