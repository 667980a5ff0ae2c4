// compare.mjs RUNS COMMIT: what the runs say of this commit beside another one. The exit status is 1 when a figure is worse.
//
//     ratio   how good ours is, as a multiple of theirs in the same round: 1.10 is a tenth more a second, or a tenth less time or memory
//     spread  how far a round of theirs was from the median of theirs, at most: what the machine alone makes of one and the same commit
//     worse   the median of the ratios is below BOUND, and further below 1 than that spread
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { facts } from './machine.mjs';
import { median } from './median.mjs';
import { number, print } from './table.mjs';

const BOUND = 0.95;

// {part, what, unit, ours, theirs} of each row, with the figures of both sides in the order of the rounds.
export function rowsOf(runs) {
    const rows = new Map();
    for (const { side, figures } of runs) {
        figures.forEach(({ value, ...row }, i) => {
            const key = `${row.part} ${i}`;
            if (!rows.has(key)) rows.set(key, { ...row, ours: [], theirs: [] });
            rows.get(key)[side].push(value);
        });
    }
    return [...rows.values()];
}

export function verdict({ ours, theirs, isMoreBetter }) {
    const ratio = median(ours.map((value, i) => (isMoreBetter ? value / theirs[i] : theirs[i] / value)));
    const middle = median(theirs);
    const spread = Math.max(...theirs.map((value) => Math.abs(value / middle - 1)));
    return { ratio, spread, isWorse: ratio < BOUND && 1 - ratio > spread };
}

function main([file, commit]) {
    const rows = rowsOf(readFileSync(file, 'utf8').trim().split('\n').map(JSON.parse));
    const verdicts = rows.map(verdict);
    console.log(`\nOne machine for both, in turn: ${facts(path.dirname(file))}`);
    print(
        `This commit against ${commit}, ${rows[0].ours.length} rounds`,
        ['what', 'ours', commit, 'ratio', 'its own spread', ''],
        rows.map(({ what, unit, ours, theirs }, i) => [
            what,
            number(median(ours)) + unit,
            number(median(theirs)) + unit,
            `${verdicts[i].ratio.toFixed(2)} ×`,
            `± ${(verdicts[i].spread * 100).toFixed(1)} %`,
            verdicts[i].isWorse ? 'WORSE' : '',
        ]),
    );
    console.log(`\nA ratio above 1 is better. WORSE: below ${BOUND}, and further from 1 than ${commit} is from itself.`);
    return verdicts.some(({ isWorse }) => isWorse) ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(main(process.argv.slice(2)));
