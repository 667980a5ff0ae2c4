// Which partition of its pool's queues a company's commands go to.
import { randomUUID } from 'node:crypto';

export const PARTITIONS = Number(process.env.CORTEX_PARTITIONS ?? 8);

// topology_slot of common/broker/topology.c.
export function slot(company) {
    const hash = Buffer.from(company.replaceAll('-', ''), 'hex').reduce((sum, octet) => Math.imul(sum ^ octet, 16777619) >>> 0, 2166136261);
    return (hash >>> 16) ^ (hash & 0xffff);
}

// The id of a new company in that partition.
export function companyOf(partition) {
    for (;;) {
        const id = randomUUID();
        if (slot(id) % PARTITIONS === partition) return id;
    }
}
