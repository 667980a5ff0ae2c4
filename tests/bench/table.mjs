// Tables of text for a terminal.
export const number = (value) => (value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3));

export function print(title, head, rows) {
    const widths = head.map((cell, i) => Math.max(...[head, ...rows].map((row) => [...row[i]].length)));
    const line = (row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ').trimEnd();
    console.log(`\n${title}\n`);
    console.log(line(head));
    console.log(widths.map((width) => '─'.repeat(width)).join('  '));
    for (const row of rows) console.log(line(row));
}

export const isMoreBetter = ({ goal, unit }) => (goal ? goal.atLeast : unit === '/s');

// A row without a goal is there for the comparison.
export function passes({ ours, theirs, goal }) {
    if (!goal) return true;
    const value = goal.ratio === undefined ? ours : ours / theirs;
    const wanted = goal.ratio ?? goal.value;
    return goal.atLeast ? value >= wanted : value <= wanted;
}

function goalText({ goal, unit }) {
    if (!goal) return '';
    const sign = goal.atLeast ? '≥' : '≤';
    return goal.ratio === undefined ? `${sign} ${number(goal.value)}${unit}` : `${sign} ${goal.ratio} ×`;
}

export function printRows(rows) {
    print(
        'Goals',
        ['what', 'ours', 'compared with', 'theirs', 'ours / theirs', 'goal', ''],
        rows.map((row) => [
            row.detail ? `${row.what} (${row.detail})` : row.what,
            number(row.ours) + row.unit,
            row.against,
            number(row.theirs) + row.unit,
            `${(row.ours / row.theirs).toFixed(2)} ×`,
            goalText(row),
            row.goal ? (passes(row) ? 'pass' : 'MISS') : '',
        ]),
    );
}

export function printCosts(costs, all) {
    const columns = all.filter((name) => costs.some(({ micros }) => micros[name] !== undefined));
    print(
        'CPU time per operation, in µs (cores: how much of the machine was busy)',
        ['what', ...columns, 'cores'],
        costs.map(({ what, micros, cores }) => [
            what,
            ...columns.map((name) => (micros[name] === undefined ? '' : number(micros[name]))),
            cores.toFixed(2),
        ]),
    );
}
