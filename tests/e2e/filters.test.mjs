// Lists whose filter matches next to nothing in a company with many rows: each page is answered early, says that it is partial, and goes on
// where looking ended. Nothing is missed, nothing comes twice, nothing ends in 503.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import amqp from 'amqplib';

import { expectStatus } from './api/expect.mjs';
import { Described } from '../lib/described.mjs';
import { newAgent } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';
import { size } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const ROWS = size(200_000);
const RARE = [1, Math.round(ROWS / 2), ROWS]; // rows that differ from all others

let stack, api, described;
before(async () => {
    // A walk is over after its first step, or after a few when those are quick. The other limits are far from what a slow machine takes.
    stack = await startStack('filters', {
        gateway: {
            CORTEX_READ_WALK_MS: '1', CORTEX_STATEMENT_TIMEOUT_MS: '60000', CORTEX_READ_EXPENSIVE_MS: '60000', CORTEX_READ_EXPENSIVE_SHARE: '50',
        },
    });
    api = stack.client();
    described = new Described(expectStatus(await api.get('/openapi.json'), 200).body);
    await stack.run(`INSERT INTO project (company_id, id, number, name, status, priority, archived, created_at)
        SELECT '${stack.company}', gen_random_uuid(), 'F-' || n, CASE WHEN n IN (${RARE}) THEN 'Rare ~~ ' ELSE 'Usual ' END || n,
            'active', CASE WHEN n IN (${RARE}) THEN 'high' ELSE 'medium' END, n IN (${RARE}), '2026-01-01'::timestamptz + n / 2 * interval '1 second'
        FROM generate_series(1, ${ROWS}) AS n;
        INSERT INTO task (company_id, id, project_id, title, status, creator_id, created_at)
        SELECT '${stack.company}', gen_random_uuid(), p.id, 'Task ' || n, CASE WHEN n IN (${RARE}) THEN 'blocked' ELSE 'todo' END, p.id,
            '2026-01-01'::timestamptz + n / 2 * interval '1 second'
        FROM generate_series(1, ${ROWS}) AS n, project AS p WHERE p.company_id = '${stack.company}' AND p.number = 'F-1';
        ANALYZE project, task`);
});
after(() => stack?.stop());

// Every page from `path` on, by its Link. Returns the entries and how many pages were partial.
async function walk(path, operation, client = api) {
    const entries = [];
    let partial = 0;
    for (let next = path; next; ) {
        const answer = expectStatus(await client.get(next), 200);
        described.expect(operation, answer);
        const { data, next: cursor, ...rest } = answer.body;
        const link = answer.headers.link?.match(/<([^>]*)>; rel="next"/)?.[1];
        assert.equal(link?.match(/after=([^&]*)/)[1] ?? null, cursor, 'Link and `next` say the same');
        if (Object.keys(rest).length > 0) {
            assert.deepEqual(rest, { partial: true });
            assert.ok(cursor, 'a partial page has a next one');
            partial++;
        }
        entries.push(...data);
        next = link;
    }
    return { entries, partial };
}

const numbers = (entries) => entries.map(({ number }) => number);
const rare = RARE.map((n) => `F-${n}`);

async function tasksOf(query) {
    const [{ id }] = await stack.query(`SELECT id FROM project WHERE company_id = '${stack.company}' AND number = 'F-1'`);
    return `/v1/projects/${id}/tasks?${query}`;
}

describe('filters that match next to nothing', () => {
    for (const query of ['archived=true', 'status=active&priority=high&archived=any', 'priority=high&archived=any', 'archived=any&text=~~', 'text=~~&archived=true&limit=1']) {
        test(`test_filter_${query}_when_walked_page_by_page_then_all_that_match_and_partial_pages`, async (t) => {
            const { entries, partial } = await walk(`/v1/projects?${query}`, 'listProjects');
            t.diagnostic(`${partial} partial pages`);
            assert.deepEqual(numbers(entries), rare);
            assert.ok(partial > 0);
        });
    }

    test('test_filter_of_tasks_when_walked_page_by_page_then_all_that_match_and_partial_pages', async () => {
        const { entries, partial } = await walk(await tasksOf('status=blocked'), 'listTasks');
        assert.deepEqual(entries.map(({ title }) => title), RARE.map((n) => `Task ${n}`));
        assert.ok(partial > 0);
    });

    test('test_filter_that_an_index_knows_when_nothing_matches_then_one_page_that_is_whole', async () => {
        for (const path of ['/v1/projects?status=planning', `/v1/projects?manager_id=${stack.company}`,
            await tasksOf(`assignee_id=${stack.company}`), await tasksOf(`parent_task_id=${stack.company}`)]) {
            assert.deepEqual(expectStatus(await api.get(path), 200).body, { data: [], next: null }, path);
        }
    });

    test('test_count_when_there_are_many_then_up_to_a_bound', async () => {
        const count = async (path) => expectStatus(await api.get(path, { prefer: 'count=exact' }), 200).body.count;
        assert.equal(await count('/v1/projects?limit=1'), '10000+');
        assert.equal(await count('/v1/projects?limit=1&archived=any&status=active'), '10000+');
        assert.equal(await count('/v1/projects?limit=1&archived=any&priority=high'), RARE.length);
        assert.equal(await count('/v1/projects?limit=1&archived=any&text=Rare'), RARE.length);
        // Those that are archived are among many that are not: as many as could be looked at.
        const rare = await count('/v1/projects?limit=1&archived=true&sort=-name');
        assert.ok(rare === RARE.length || /^[123]\+$/.test(rare), `${rare}`);
    });

    test('test_operations_when_nearly_none_fits_the_filter_then_all_that_do_and_partial_pages', async () => {
        const company = await stack.addCompany();
        const admin = stack.client({ company, role: 'company_admin' });
        const ids = [1, 6000, 12_000].map((n) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`);
        await stack.run(`INSERT INTO deferred (company_id, command_id, pool, slot, reason, due_at, type, actor, role, fingerprint, body)
            SELECT '${company}', ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'projects', 0,
                CASE WHEN n IN (1, 6000, 12000) THEN 'retry' ELSE 'schedule' END, '2099-01-01', 'project.create', '${company}', 'company_admin', 0, ''
            FROM generate_series(1, 12000) AS n`);
        const { entries, partial } = await walk('/v1/operations?status=pending', 'listOperations', admin);
        assert.deepEqual(entries.map(({ id }) => id), ids);
        assert.equal(partial, 2);
        const all = await walk('/v1/operations?limit=200', 'listOperations', admin);
        assert.equal(all.entries.length, 12_000);
        assert.equal(all.partial, 0);
    });

    // Three of 12,000 rows are another company's. The rows of a second have one time, so the pages go on by the id.
    for (const [table, path, operation, insert] of [
        ['dead_letter', 'dead-letters?company=', 'listDeadLetters', (ids) => `INSERT INTO dead_letter (id, pool, company_id, command_id, reason, last_at, type, body)
            SELECT id, 'projects', company, gen_random_uuid(), 'poison', at, 'project.create', '' ${ids}`],
        ['operator_act', 'acts?on_behalf_of=', 'listActs', (ids) => `INSERT INTO operator_act (id, at, actor, on_behalf_of, act, outcome)
            SELECT id, at, company, company, 'schedule.put', 'ok' ${ids}`],
        ['schedule', 'schedules?company=', 'listSchedules', (ids) => `INSERT INTO schedule (name, id, company_id, cron, type, enabled, created_at,
                pool, slot, actor, role, fingerprint, body)
            SELECT 'filters-' || n, id, company, '0 0 1 1 *', 'project.create', false, at, 'projects', 0, company, 'company_admin', 0, '' ${ids}`],
    ]) {
        test(`test_${table}_list_of_operators_when_nearly_none_fits_the_filter_then_all_that_do_and_partial_pages`, async () => {
            const [company, others] = [await stack.addCompany(), await stack.addCompany()];
            const operator = stack.client({ role: 'super_admin' });
            await stack.run(insert(`FROM (SELECT n, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid AS id,
                    '2025-01-01'::timestamptz + n / 100 * interval '1 second' AS at,
                    (CASE WHEN n IN (1, 6000, 12000) THEN '${company}' ELSE '${others}' END)::uuid AS company
                FROM generate_series(1, 12000) AS n) AS row`));
            const { entries, partial } = await walk(`/v1/admin/${path}${company}`, operation, operator);
            assert.equal(entries.length, 3);
            assert.equal(partial, 2);
            const all = await walk(`/v1/admin/${path}${others}&limit=200`, operation, operator);
            assert.equal(all.entries.length, 11_997);
            await stack.run(`DELETE FROM ${table} WHERE id::text LIKE '00000000-0000-7000-8000-%'`);
        });
    }

    test('test_filter_when_the_project_does_not_exist_then_404_and_when_it_has_no_tasks_an_empty_list', async () => {
        expectStatus(await api.get(`/v1/projects/${stack.company}/tasks?status=blocked`), 404);
        const [{ id }] = await stack.query(`SELECT id FROM project WHERE company_id = '${stack.company}' AND number = 'F-2'`);
        assert.deepEqual(expectStatus(await api.get(`/v1/projects/${id}/tasks?status=blocked`), 200).body, { data: [], next: null });
    });

    test('test_partial_page_when_asked_for_by_head_or_with_its_etag_then_as_any_other', async () => {
        const path = '/v1/projects?archived=true&limit=1';
        const page = expectStatus(await api.get(path), 200);
        assert.ok(page.headers.etag);
        assert.equal((await api.get(path, { 'if-none-match': '"another"' })).status, 200);
    });

    test('test_search_when_its_index_takes_long_then_the_list_is_walked', async () => {
        const other = await stack.addCompany();
        const client = stack.client({ company: other });
        await stack.run(`INSERT INTO project (company_id, id, number, name) VALUES ('${other}', gen_random_uuid(), 'W-1', 'Quay wall')`);
        // Nobody can search by the index until there is a company of this name.
        const held = stack.run(`BEGIN; LOCK TABLE project_text_changed IN ACCESS EXCLUSIVE MODE;
            DO $$ BEGIN FOR i IN 1..2400 LOOP
                PERFORM pg_sleep(0.05);
                EXIT WHEN EXISTS (SELECT FROM company WHERE name = 'The search is over');
            END LOOP; END $$; COMMIT`);
        await until(async () => (await stack.query(`SELECT FROM pg_locks WHERE relation = 'project_text_changed'::regclass
            AND mode = 'AccessExclusiveLock' AND granted`)).length > 0, 60_000, 'the lock');
        const answer = await client.get('/v1/projects?text=quay');
        await stack.addCompany('The search is over');
        await held;
        assert.deepEqual(numbers(expectStatus(answer, 200).body.data), ['W-1']);
    });

    test('test_filters_when_sixteen_ask_at_once_then_no_503_and_others_are_answered', async () => {
        const other = stack.client({ company: await stack.addCompany() }, newAgent(4));
        const many = stack.client({}, newAgent(16));
        let going = true;
        const asked = Promise.all(Array.from({ length: 16 }, async (_, i) => {
            const statuses = [];
            for (let page = 0; page < 4; page++) statuses.push((await many.get(i % 2 ? '/v1/projects?archived=true' : '/v1/projects?text=~~')).status);
            return statuses;
        })).finally(() => (going = false));
        const seen = new Set();
        while (going) seen.add((await other.get('/v1/projects?limit=1')).status);
        assert.deepEqual([...seen], [200]);
        assert.deepEqual([...new Set((await asked).flat())], [200]);
    });

    // By this a process knows that a company's expensive reads have to wait for others, who may ask another process.
    test('test_reads_when_made_then_every_process_hears_whose_they_are', async () => {
        const connection = await amqp.connect(stack.amqpUrl);
        try {
            const channel = await connection.createChannel();
            const { queue } = await channel.assertQueue('', { exclusive: true });
            const heard = new Set();
            await channel.bindQueue(queue, 'events', 'gateways.neighbours');
            await channel.consume(queue, ({ content }) => JSON.parse(content).companies.forEach((company) => heard.add(company)), { noAck: true });
            const company = await stack.addCompany();
            const client = stack.client({ company });
            await until(async () => {
                expectStatus(await client.get('/v1/projects?limit=1'), 200);
                return heard.has(company);
            }, 60_000, 'the company that reads');
        } finally {
            await connection.close();
        }
    });

    test('test_client_when_it_leaves_in_the_middle_of_a_walk_then_nothing_is_left', async () => {
        for (let i = 0; i < 8; i++) {
            await fetch(`${stack.url}/v1/projects?archived=true&text=~~`, {
                headers: { authorization: `Bearer ${stack.token()}` }, signal: AbortSignal.timeout(5 + 20 * i),
            }).then((answer) => answer.text(), () => undefined);
        }
        expectStatus(await api.get('/v1/projects?limit=1'), 200); // what leaks is seen by the sanitizer as the stack stops
    });
});
