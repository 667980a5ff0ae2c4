// run.mjs [PART…]: measures, and prints the tables. The exit status is 1 when a goal is missed or a part could not be measured.
//
// With BENCH_SIDE (ours or theirs, of --against) the stack is measured once and alone: without what it is compared with, without goals.
// The rows are printed as a line of JSON, for compare.mjs.
import { COLUMNS } from './costs.mjs';
import { facts } from './machine.mjs';
import { chosen } from './parts.mjs';
import { stack } from './stack.mjs';
import { isMoreBetter, passes, printCosts, printRows } from './table.mjs';

const machine = stack.side ? undefined : facts(stack.state);
const rows = [];
const costs = [];
let failed = false;
for (const part of chosen(process.argv.slice(2))) {
    console.error(`bench: ${part}${stack.side ? ` (${stack.side})` : ''}`);
    try {
        const { measure } = await import(`./parts/${part}.mjs`);
        const result = await measure();
        rows.push(...result.rows.map((row) => ({ part, ...row })));
        costs.push(...result.costs);
    } catch (error) {
        failed = true;
        console.error(`bench: ${part}: ${error.message}`);
    }
}

if (stack.side) {
    const figures = rows.map((row) => ({ part: row.part, what: row.what, unit: row.unit, value: row.ours, isMoreBetter: isMoreBetter(row) }));
    console.log(JSON.stringify({ side: stack.side, figures }));
    process.exit(failed ? 1 : 0);
}

console.log(`\nOne machine for everything: ${machine}`);
if (rows.length) printRows(rows);
if (costs.length) printCosts(costs, COLUMNS);
const disturbed = Math.max(0, ...costs.map(({ othersCores }) => othersCores));
if (disturbed > 0.3) {
    console.log(`\nOther programs (and the kernel's own threads) used up to ${disturbed.toFixed(1)} cores meanwhile: trust the ratios, not the figures.`);
}
process.exit(failed || !rows.every(passes) ? 1 : 0);
