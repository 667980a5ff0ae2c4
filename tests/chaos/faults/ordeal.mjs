// Load on several companies, a fault, and what must hold afterwards: nothing lost, nothing done twice, each company in order.
import assert from 'node:assert/strict';

import { Company, expectPromisesKept } from '../../lib/company.mjs';
import { isDrained } from '../../lib/effects.mjs';
import { newAgent } from '../../lib/http.mjs';
import { until } from '../../lib/process.mjs';

const COMPANIES = 6;
const WITHIN_MS = 60_000; // far from what it takes: a machine under load

// fault: called under load with the companies' ids and the companies; comes back when it has been produced. From then on it counts until
// every company has had a command done that was sent after it.
export async function ordeal({ stack }, t, what, fault) {
    const agent = newAgent(2 * COMPANIES);
    const ids = await stack.addCompanies(COMPANIES);
    const companies = ids.map((id) => new Company(stack, id, agent));
    let recovered;
    try {
        const past = (count) => until(() => companies.every(({ accepted }) => accepted.length >= count), WITHIN_MS, `${count} commands each`);
        await past(5);
        await fault(ids, companies);
        const begun = performance.now();
        await Promise.all(companies.map((company) => company.probe()));
        recovered = performance.now() - begun;
        await Promise.all(companies.map((company) => company.stop()));
        await until(() => isDrained(stack), WITHIN_MS, 'the queues to be empty');
        await expectPromisesKept(companies);
    } finally {
        companies.forEach((company) => company.abandon());
        agent.destroy();
    }
    const count = companies.reduce((sum, { ids: sent }) => sum + sent.length, 0);
    t.diagnostic(`${what}: work goes on after ${Math.round(recovered)} ms; ${count} commands, each done once and in order`);
    assert.ok(recovered < WITHIN_MS);
}

export const logged = (program, pattern) => [...program.tail(Infinity).matchAll(pattern)].length;
