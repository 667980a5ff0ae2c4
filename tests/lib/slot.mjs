// The slot of a company, as in common/broker/topology.c: FNV-1a of the octets of its id, folded to 16 bits, modulo 4096.
export function slotOf(company) {
    let hash = 2166136261;
    for (const octet of Buffer.from(company.replaceAll('-', ''), 'hex')) hash = Math.imul(hash ^ octet, 16777619) >>> 0;
    return ((hash >>> 16) ^ hash) & 4095;
}
