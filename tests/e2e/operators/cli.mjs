// ./cortex dead, a thin layer over the admin API.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CommandLine } from '../../lib/cli.mjs';
import { until } from '../../lib/process.mjs';
import { addLetter } from './dead_letters.mjs';

const DEAD_LETTERS = 1001; // more than one request drops, and several pages
const TASKS = 300;

export function cli(shared) {
    describe('cortex dead', () => {
        test('test_command_line_when_dead_letters_are_more_than_a_page_then_all_are_listed_and_dropped', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            await stack.run(`INSERT INTO dead_letter (pool, company_id, command_id, slot, reason, type, body)
                SELECT 'projects', '${company}', gen_random_uuid(), 0, 'poison', CASE WHEN n <= ${TASKS} THEN 'task.create' ELSE 'project.create' END, ''
                FROM generate_series(1, ${DEAD_LETTERS + TASKS}) AS n`);
            const left = async () => (await stack.query(`SELECT count(*) AS dead_letters FROM dead_letter WHERE company_id = '${company}'`))[0].dead_letters;
            const cortex = new CommandLine(stack);
            try {
                const tasks = await cortex.list('dead', '--company', company, '--type', 'task.create');
                assert.equal(tasks.length, TASKS);
                assert.equal(new Set(tasks.map(({ id }) => id)).size, TASKS);
                assert.ok(tasks.every(({ type }) => type === 'task.create'));
                assert.match(await cortex.run('dead', 'drop', '--company', company, '--type', 'task.create'), new RegExp(`^${TASKS} dead letters`));
                assert.equal(await left(), DEAD_LETTERS);
                assert.match(await cortex.run('dead', 'drop', '--company', company), new RegExp(`^${DEAD_LETTERS} dead letters`));
                assert.equal(await left(), 0);

                const all = await cortex.try('dead', 'drop');
                assert.notEqual(all.status, 0);
                assert.match(all.stderr, /needs an id, a filter or --all/);
                assert.notEqual((await cortex.try('dead', 'list', '--type', 'a&b')).status, 0);
                assert.notEqual((await cortex.try('dead', 'show', '../../pools')).status, 0);
            } finally {
                cortex.close();
            }
        });

        test('test_command_line_when_those_since_a_time_or_of_a_type_are_replayed_then_the_others_stay', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const days = [];
            for (let day = 1; day <= 3; day++)
                days.push(await addLetter(stack, company, `Day ${day}`, { at: `2026-01-0${day}T00:00:00Z`, type: day === 1 ? 'export.create' : 'project.create' }));
            const cortex = new CommandLine(stack);
            const left = async (ids) => until(async () => {
                const deadLetters = await cortex.list('dead', '--company', company);
                return deadLetters.map(({ id }) => id).join() === ids.join();
            }, 30_000, `${ids.length} dead letters to be left`);
            try {
                assert.match(await cortex.run('dead', 'replay', '--company', company, '--since', '2026-01-03T01:00:00+01:00'), /^1 dead letters: replay/);
                await left(days.slice(0, 2));
                assert.match(await cortex.run('dead', 'replay', '--company', company, '--type', 'project.create'), /^1 dead letters: replay/);
                await left(days.slice(0, 1));
            } finally {
                cortex.close();
            }
        });
    });
}
