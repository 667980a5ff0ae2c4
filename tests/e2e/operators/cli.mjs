// ./cortex dead: thin over the admin API.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CommandLine } from '../../lib/cli.mjs';

const LETTERS = 1001; // more than one request drops, and several pages
const TASKS = 300;

export function cli(shared) {
    describe('cortex dead', () => {
        test('test_command_line_when_letters_are_more_than_a_page_then_all_are_listed_and_dropped', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            await stack.run(`INSERT INTO dead_letter (pool, company_id, command_id, slot, reason, type, body)
                SELECT 'projects', '${company}', gen_random_uuid(), 0, 'poison', CASE WHEN n <= ${TASKS} THEN 'task.create' ELSE 'project.create' END, ''
                FROM generate_series(1, ${LETTERS + TASKS}) AS n`);
            const left = async () => (await stack.query(`SELECT count(*) AS letters FROM dead_letter WHERE company_id = '${company}'`))[0].letters;
            const cortex = new CommandLine(stack);
            try {
                const tasks = await cortex.list('dead', '--company', company, '--type', 'task.create');
                assert.equal(tasks.length, TASKS);
                assert.equal(new Set(tasks.map(({ id }) => id)).size, TASKS);
                assert.ok(tasks.every(({ type }) => type === 'task.create'));
                assert.match(await cortex.run('dead', 'drop', '--company', company, '--type', 'task.create'), new RegExp(`^${TASKS} letters`));
                assert.equal(await left(), LETTERS);
                assert.match(await cortex.run('dead', 'drop', '--company', company), new RegExp(`^${LETTERS} letters`));
                assert.equal(await left(), 0);

                const all = await cortex.try('dead', 'drop');
                assert.notEqual(all.status, 0);
                assert.match(all.stderr, /say which/);
                assert.notEqual((await cortex.try('dead', 'list', '--type', 'a&b')).status, 0);
                assert.notEqual((await cortex.try('dead', 'show', '../../pools')).status, 0);
            } finally {
                cortex.close();
            }
        });
    });
}
