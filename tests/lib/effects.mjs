// What must hold of a company's creates afterwards, whatever broke meanwhile: each accepted command has exactly one row and one event, and
// the numbers of both have no gaps.
import assert from 'node:assert/strict';

// No command of the pool waits or is under way: not in its queues, not in `deferred`.
export async function isDrained(stack) {
    const queues = [...(await stack.queues())].filter(([name]) => name.startsWith('commands.projects.'));
    assert.ok(queues.length > 0);
    if (queues.some(([, queue]) => queue.ready + queue.unacknowledged > 0)) return false;
    return (await stack.query('SELECT count(*) AS rows FROM deferred'))[0].rows === 0;
}

// accepted: ids that were answered with 201 or 202. → the ids of all rows, as a set.
export async function expectOneEffectEach(stack, company, accepted) {
    assert.equal(new Set(accepted).size, accepted.length, 'no id was given twice');
    const projects = (await stack.query(`SELECT id FROM project WHERE company_id = '${company}'`)).map((row) => row.id);
    const rows = new Set(projects);
    assert.equal(rows.size, projects.length);
    assert.deepEqual(accepted.filter((id) => !rows.has(id)), [], 'every accepted command has its row');

    const [events] = await stack.query(`SELECT count(*) AS count, count(DISTINCT seq) AS seqs, count(DISTINCT command_id) AS commands,
        min(seq) AS first, max(seq) AS last FROM events WHERE company_id = '${company}'`);
    const [{ seq }] = await stack.query(`SELECT seq FROM company_sequence WHERE company_id = '${company}'`);
    assert.deepEqual(events, { count: rows.size, seqs: rows.size, commands: rows.size, first: 1, last: rows.size },
        'one event a row, numbered without gaps');
    assert.equal(seq, rows.size);

    const numbers = await stack.query(`SELECT count(DISTINCT number) AS count, max(split_part(number, '-', 3)::int) AS last
        FROM project WHERE company_id = '${company}'`);
    assert.deepEqual(numbers, [{ count: rows.size, last: rows.size }], 'project numbers without gaps');
    const deadLetters = await stack.query(`SELECT reason FROM dead_letter WHERE company_id = '${company}'`);
    assert.deepEqual(deadLetters, [], 'no dead letters');
    return rows;
}
