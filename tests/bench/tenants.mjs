// Many companies at once, spread evenly over the partitions: each has a load of its own, with its own token.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { claimsOf, sign } from '../lib/token.mjs';
import { PROJECT, onlyStatus, run, sql, stack } from './stack.mjs';

export const PARTITIONS = Number(process.env.CORTEX_PARTITIONS ?? 8);

// topology_slot of common/topology.c.
function slot(company) {
    const hash = Buffer.from(company.replaceAll('-', ''), 'hex').reduce((sum, octet) => Math.imul(sum ^ octet, 16777619) >>> 0, 2166136261);
    return (hash >>> 16) ^ (hash & 0xffff);
}

function companyOf(partition) {
    for (;;) {
        const id = randomUUID();
        if (slot(id) % PARTITIONS === partition) return id;
    }
}

// `count` companies, as many in each partition.
export async function addTenants(count) {
    const secret = readFileSync(path.join(stack.state, 'secrets', 'token_key'), 'utf8').trim();
    const ids = Array.from({ length: count }, (_, i) => companyOf(i % PARTITIONS));
    await sql(`INSERT INTO company (id, name) VALUES ${ids.map((id) => `('${id}', 'Bench')`).join(', ')}`);
    return ids.map((company) => sign(claimsOf({ company }), secret));
}

// Each tenant creates projects over `connections`. Returns how many a second all of them made, and the worst p99 of one.
export async function createByAll(tokens, { connections, warmup, seconds }) {
    const runs = await Promise.all(tokens.map(async (token) => onlyStatus(201, JSON.parse(await run(path.join(stack.programs, 'load'), [
        '--json', '--url', `${stack.url}/v1/projects`, '--body', PROJECT, '--connections', `${connections}`,
        '--warmup', `${warmup}`, '--duration', `${seconds}`,
    ], { env: { ...process.env, CORTEX_TOKEN: token } })))));
    return {
        per_second: runs.reduce((sum, one) => sum + one.per_second, 0),
        p99_ms: Math.max(...runs.map((one) => one.p99_us / 1000)),
    };
}
