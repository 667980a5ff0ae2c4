// run.mjs [PART…]: measures and prints the tables. Exit status 1 when a goal is missed.
import { closeSync, fdatasyncSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { COLUMNS } from './costs.mjs';
import { stack } from './stack.mjs';
import { passes, printCosts, printRows } from './table.mjs';

// In this order: memory is taken from a stack that nobody has used yet.
const PARTS = ['memory', 'health', 'read', 'create', 'events', 'scale', 'fairness', 'usual'];
// Rows of one part, each of which can be asked for by its name: `realtime` is all of them.
const GROUPS = { realtime: ['realtime-memory', 'realtime-storm', 'realtime-companies', 'realtime-saturation', 'realtime-steady', 'realtime-stalled'] };
const ALL = [...PARTS, ...Object.values(GROUPS).flat()];

function facts() {
    const os = /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
    const load = readFileSync('/proc/loadavg', 'latin1').split(' ')[0];
    const memory = Math.round(totalmem() / 2 ** 30);
    return `${cpus().length} × ${cpus()[0].model.trim()}, ${memory} GB, ${os}, ${syncsPerSecond()} fdatasync/s, load before ${load}`;
}

// What one commit at a time can reach on this disk: 8 KB and fdatasync, for half a second.
function syncsPerSecond() {
    const file = path.join(stack.state, 'sync');
    const fd = openSync(file, 'w');
    const block = Buffer.alloc(8192);
    const begin = performance.now();
    let count = 0;
    for (; performance.now() - begin < 500; count++) {
        writeSync(fd, block, 0, block.length, 0);
        fdatasyncSync(fd);
    }
    closeSync(fd);
    unlinkSync(file);
    return count * 2;
}

const wanted = process.argv.slice(2).flatMap((name) => GROUPS[name] ?? name);
const unknown = wanted.filter((part) => !ALL.includes(part));
if (unknown.length) {
    console.error(`bench: there is no part ${unknown.join(', ')}; there are ${[...PARTS, ...Object.keys(GROUPS)].join(', ')} and of the last one ${GROUPS.realtime.join(', ')}`);
    process.exit(2);
}

const machine = facts();
const rows = [];
const costs = [];
let failed = false;
for (const part of ALL.filter((name) => wanted.length === 0 || wanted.includes(name))) {
    console.error(`bench: ${part}`);
    try {
        const { measure } = await import(`./parts/${part}.mjs`);
        const result = await measure();
        rows.push(...result.rows);
        costs.push(...result.costs);
    } catch (error) {
        failed = true;
        console.error(`bench: ${part}: ${error.message}`);
    }
}
console.log(`\nOne machine for everything: ${machine}`);
if (rows.length) printRows(rows);
if (costs.length) printCosts(costs, COLUMNS);
const disturbed = Math.max(0, ...costs.map(({ othersCores }) => othersCores));
if (disturbed > 0.3) {
    console.log(`\nOther programs (and the kernel's own threads) used up to ${disturbed.toFixed(1)} cores meanwhile: trust the ratios, not the figures.`);
}
process.exit(failed || !rows.every(passes) ? 1 : 0);
