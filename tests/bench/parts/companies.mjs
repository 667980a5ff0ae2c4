// Create → 201 of a thousand companies, a command of each in turn, against the same load of one company: batches then hold as many companies
// as commands.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { alternate, create, median, stack } from '../stack.mjs';
import { costs } from '../costs.mjs';
import { addTenants } from '../tenants.mjs';

const COMPANIES = 1000;
const LOADS = [64, 512]; // connections

function tokensOf(name, tenants) {
    const file = path.join(stack.state, `${name}.tokens`);
    writeFileSync(file, tenants.map(({ token }) => `${token}\n`).join(''), { mode: 0o600 });
    return file;
}

export async function measure() {
    const tenants = await addTenants(COMPANIES);
    const all = tokensOf('companies', tenants), one = tokensOf('company', tenants.slice(0, 1));
    const rate = (runs) => median(runs.map((run) => run.per_second));
    const rows = [];
    const cpu = [];
    for (const connections of LOADS) {
        const of = (tokens) => create(['--tokens', tokens, '--connections', `${connections}`]);
        const { ours, theirs } = await alternate(() => of(all), () => of(one));
        rows.push({
            what: `create → 201 of 1,000 companies, ${connections} connections`,
            ours: rate(ours),
            theirs: rate(theirs),
            unit: '/s',
            against: 'one company',
        });
        cpu.push(costs(`create of 1,000 companies, ${connections} connections`, ours, (run) => run.per_second),
            costs('  of one company', theirs, (run) => run.per_second));
    }
    return { rows, costs: cpu };
}
