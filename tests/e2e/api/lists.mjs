import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { expectCreated, expectProblem, expectStatus, newProject, newTask } from './expect.mjs';

// RFC 8288: the next page's address, or undefined on the last.
function nextOf(answer) {
    return answer.headers.link?.match(/<([^>]*)>\s*;\s*rel="?next"?/)?.[1];
}

async function walk(api, path, onPage = async () => {}) {
    const all = [];
    for (let next = path; next; ) {
        const answer = expectStatus(await api.get(next), 200);
        all.push(...answer.body.data);
        await onPage(answer);
        next = nextOf(answer);
    }
    return all;
}

const names = (projects) => projects.map((project) => project.name).sort();

export function lists(shared) {
    describe('lists', () => {
        let api, manager;

        before(async () => {
            const company = await shared.stack.addCompany();
            api = shared.stack.client({ company });
            manager = await shared.stack.addUser(company);
            const fields = [
                { name: 'Alpha tower', status: 'active', priority: 'high' },
                { name: 'Beta hall', status: 'active', priority: 'low', manager_id: manager },
                { name: 'Gamma tunnel', priority: 'high', description: 'under the TOWER of Alpha' },
                { name: '100% glass', address: 'Percent_road' },
            ];
            for (const project of fields) await newProject(api, project);
        });

        test('test_pages_walked_to_the_end_then_everything_once_in_order', async () => {
            const many = shared.stack.client({ company: await shared.stack.addCompany() });
            const made = [];
            for (let i = 0; i < 25; i++) made.push((await newProject(many)).id);
            for (const limit of [1, 7, 25, 200]) {
                const pages = [];
                const walked = await walk(many, `/v1/projects?limit=${limit}`, (page) => pages.push(page.body.data.length));
                assert.equal(walked.length, 25);
                assert.equal(new Set(walked.map((project) => project.id)).size, 25);
                assert.ok(pages.every((length) => length <= limit));
            }
        });

        test('test_pages_walked_while_projects_are_made_and_deleted_then_the_others_once', async () => {
            const many = shared.stack.client({ company: await shared.stack.addCompany() });
            const stay = [];
            for (let i = 0; i < 12; i++) stay.push((await newProject(many)).id);
            let extra = await newProject(many);
            const walked = await walk(many, '/v1/projects?limit=3', async () => {
                expectStatus(await many.delete(`/v1/projects/${extra.id}`), 204);
                extra = await newProject(many);
            });
            const seen = walked.map((project) => project.id);
            assert.equal(new Set(seen).size, seen.length, 'nothing twice');
            for (const id of stay) assert.ok(seen.includes(id), 'nothing missed');
        });

        test('test_filters_then_only_what_fits_all_of_them', async () => {
            const filtered = async (query) => names((await api.get(`/v1/projects?${query}`)).body.data);
            assert.deepEqual(await filtered('status=active'), ['Alpha tower', 'Beta hall']);
            assert.deepEqual(await filtered('priority=high'), ['Alpha tower', 'Gamma tunnel']);
            assert.deepEqual(await filtered('status=active&priority=high'), ['Alpha tower']);
            assert.deepEqual(await filtered(`manager_id=${manager}`), ['Beta hall']);
            assert.deepEqual(await filtered('text=tower'), ['Alpha tower', 'Gamma tunnel']);
            assert.deepEqual(await filtered('text=tower&status=planning'), ['Gamma tunnel']);
            assert.deepEqual(await filtered('text=nowhere'), []);
        });

        test('test_text_filter_with_wildcards_then_they_are_plain_letters', async () => {
            const filtered = async (text) => names((await api.get(`/v1/projects?text=${encodeURIComponent(text)}`)).body.data);
            assert.deepEqual(await filtered('100%'), ['100% glass']);
            assert.deepEqual(await filtered('percent_r'), ['100% glass']);
            assert.deepEqual(await filtered('%'), ['100% glass']);
            assert.deepEqual(await filtered('\\'), []);
            assert.deepEqual(await filtered("' OR 1=1 --"), []);
        });

        test('test_filters_and_pages_together_then_the_next_link_keeps_the_filter', async () => {
            assert.deepEqual(names(await walk(api, '/v1/projects?status=active&limit=1')), ['Alpha tower', 'Beta hall']);
        });

        test('test_query_that_makes_no_sense_then_a_clear_refusal', async () => {
            for (const query of ['limit=0', 'limit=x', 'limit=-1', 'limit=999999999999999999999', 'after=nonsense', 'status=dreaming',
                'manager_id=me', 'colour=red'])
                expectProblem(await api.get(`/v1/projects?${query}`), 400, 'bad-request');
        });

        test('test_tasks_of_a_project_then_listed_and_filtered', async () => {
            const [one, other] = [await newProject(api), await newProject(api)];
            await newTask(api, one, { title: 'Dig', status: 'in-progress' });
            await newTask(api, one, { title: 'Pour' });
            await newTask(api, other, { title: 'Paint' });
            const titles = async (query) => (await walk(api, `/v1/projects/${one.id}/tasks?${query}`)).map((task) => task.title).sort();
            assert.deepEqual(await titles('limit=1'), ['Dig', 'Pour']);
            assert.deepEqual(await titles('status=in-progress'), ['Dig']);
            expectProblem(await api.get(`/v1/projects/${randomUUID()}/tasks`), 404, 'not-found');
        });

        // 24 tasks, of which some share a time, a due date, or have none.
        describe('orders and filters', () => {
            const rows = [], users = [randomUUID(), randomUUID()];
            let tasks, other, company, path;

            before(async () => {
                company = await shared.stack.addCompany();
                tasks = shared.stack.client({ company });
                other = shared.stack.client({ company: await shared.stack.addCompany() });
                const [{ id: project }, strange] = [await newProject(tasks), await newProject(tasks)];
                await newTask(tasks, strange, { title: 'Of another project' });
                for (const i of [0, 1]) users[i] = await shared.stack.addUser(company);
                await shared.stack.run(`INSERT INTO task (company_id, id, project_id, title, status, creator_id, assignee_id, due_date, created_at)
                    SELECT '${company}', gen_random_uuid(), '${project}', 'T' || n, (ARRAY['todo', 'review', 'blocked'])[1 + n % 3], '${users[0]}',
                        (ARRAY['${users[0]}', '${users[1]}', NULL]::uuid[])[1 + n / 2 % 3],
                        CASE WHEN n % 4 > 0 THEN '2026-03-01'::date + n / 5 END, '2026-01-01'::timestamptz + n / 2 * interval '1 second'
                    FROM generate_series(1, 24) AS n`);
                path = `/v1/projects/${project}/tasks`;
                rows.push(...expectStatus(await tasks.get(`${path}?limit=200`), 200).body.data);
                assert.equal(rows.length, 24);
            });

            const filters = () => ({
                '': () => true,
                'status=todo': ({ status }) => status === 'todo',
                'status=todo,blocked': ({ status }) => status !== 'review',
                'status=todo%2Cblocked': ({ status }) => status !== 'review',
                'status[ne]=todo': ({ status }) => status !== 'todo',
                'status%5Bne%5D=todo,review': ({ status }) => status === 'blocked',
                'assignee_id=null': ({ assignee_id }) => assignee_id === null,
                'assignee_id[ne]=null': ({ assignee_id }) => assignee_id !== null,
                [`assignee_id=${users[0]}`]: ({ assignee_id }) => assignee_id === users[0],
                [`assignee_id=${users[0]},null`]: ({ assignee_id }) => assignee_id === users[0] || assignee_id === null,
                [`assignee_id[ne]=${users[0]}`]: ({ assignee_id }) => assignee_id !== users[0],
                [`assignee_id[ne]=null,${users[0]}`]: ({ assignee_id }) => assignee_id === users[1],
                'due_date=2026-03-02': ({ due_date }) => due_date === '2026-03-02',
                'due_date=null': ({ due_date }) => due_date === null,
                'due_date[ne]=null': ({ due_date }) => due_date !== null,
                'due_date[gte]=2026-03-02&due_date[lt]=2026-03-04': ({ due_date }) => due_date >= '2026-03-02' && due_date < '2026-03-04',
                'due_date[gt]=2026-03-02': ({ due_date }) => due_date !== null && due_date > '2026-03-02',
                'due_date[lte]=2026-03-02&status=todo': ({ due_date, status }) => due_date !== null && due_date <= '2026-03-02' && status === 'todo',
                'due_date=null,2026-03-03&status[ne]=todo': ({ due_date, status }) => (due_date === null || due_date === '2026-03-03') && status !== 'todo',
                'due_date[ne]=2026-03-02&due_date[gte]=2026-03-01': ({ due_date }) => due_date !== null && due_date !== '2026-03-02',
                'created_at[gte]=2026-01-01T00:00:05Z&created_at[lte]=2026-01-01T00:00:08Z': ({ created_at }) =>
                    created_at >= '2026-01-01T00:00:05' && created_at <= '2026-01-01T00:00:08.000000Z',
                'text=T1': ({ title }) => title.startsWith('T1'),
                'text=T1&due_date=null': ({ title, due_date }) => title.startsWith('T1') && due_date === null,
            });

            const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

            function ordered(sort, fits) {
                const field = sort.replace('-', ''), sign = sort[0] === '-' ? -1 : 1;
                return rows.filter(fits).sort((a, b) => (a[field] === null) - (b[field] === null)
                    || sign * (compare(a[field], b[field]) || compare(a.id, b.id))).map(({ title }) => title);
            }

            for (const sort of ['created_at', '-created_at', 'due_date', '-due_date'])
                test(`test_list_sorted_by_${sort}_with_every_filter_in_pages_then_as_a_model_says`, async () => {
                    for (const [filter, fits] of Object.entries(filters()))
                        for (const limit of [3, 200]) {
                            const walked = await walk(tasks, `${path}?sort=${sort}&limit=${limit}&${filter}`);
                            assert.deepEqual(walked.map(({ title }) => title), ordered(sort, fits), `${filter} by ${limit}`);
                        }
                });

            test('test_list_sorted_by_a_text_then_as_the_database_compares_and_each_once', async () => {
                for (const name of ['b', 'B', 'a', 'é', 'Z'.repeat(200), '日本', '"\\', 'a', '🏗'.repeat(200)]) await newProject(other, { name });
                for (const sort of ['name', '-name']) {
                    const walked = await walk(other, `/v1/projects?sort=${sort}&limit=1`);
                    const [{ ids }] = await shared.stack.query(`SELECT array_agg(id ORDER BY name ${sort[0] === '-' ? 'DESC, id DESC' : ', id'}) AS ids
                        FROM project WHERE id = ANY ('{${walked.map(({ id }) => id)}}')`);
                    assert.equal(walked.length, 9);
                    assert.deepEqual(walked.map(({ id }) => id), ids);
                }
            });

            test('test_list_sorted_by_money_in_pages_then_by_its_amount_and_each_once', async () => {
                const path = `/v1/projects/${(await newProject(other, { name: 'Money' })).id}/subcontracts`, made = [];
                for (const contract_amount of [10, 9.99, 0, 0.01, 99999999999.99, 10, 100.5, 2]) {
                    const { id } = expectCreated(await other.post('/v1/subcontractors', { name: `S${contract_amount}` }), '/v1/subcontractors');
                    made.push(expectCreated(await other.post(path, { subcontractor_id: id, contract_amount }), path));
                }
                for (const [sort, sign] of [['contract_amount', 1], ['-contract_amount', -1]]) {
                    const walked = await walk(other, `${path}?sort=${sort}&limit=2`);
                    const expected = made.toSorted((a, b) => sign * (a.contract_amount - b.contract_amount || compare(a.id, b.id)));
                    assert.deepEqual(walked.map(({ id }) => id), expected.map(({ id }) => id), sort);
                }
                const { next } = expectStatus(await other.get(`${path}?limit=2&sort=contract_amount`), 200).body;
                expectProblem(await other.get(`${path}?limit=2&sort=-contract_amount&after=${next}`), 400, 'bad-request');
            });

            test('test_pages_walked_while_the_order_of_others_changes_then_those_that_stay_once', async () => {
                for (const sort of ['due_date', '-due_date']) {
                    const moving = rows.filter((_, i) => i % 5 === 0), seen = [];
                    let at = 0;
                    await walk(tasks, `${path}?sort=${sort}&limit=4`, async ({ body }) => {
                        seen.push(...body.data.map(({ id }) => id));
                        const { id } = moving[at++ % moving.length];
                        if (at < 20) expectStatus(await tasks.patch(`${path}/${id}`, { due_date: at % 3 ? `2026-03-0${1 + at % 5}` : null }), 200);
                    });
                    const stay = rows.filter((row) => !moving.includes(row)).map(({ id }) => id);
                    assert.deepEqual(stay.filter((id) => seen.filter((one) => one === id).length !== 1), [], sort);
                }
                rows.splice(0, rows.length, ...expectStatus(await tasks.get(`${path}?limit=200`), 200).body.data);
            });

            test('test_cursor_of_another_list_then_400_that_says_so', async () => {
                const lists = ['limit=2', 'limit=2&sort=-created_at', 'limit=2&sort=due_date', 'limit=2&sort=-due_date', 'limit=2&status=todo',
                    'limit=2&status=todo,blocked', 'limit=2&status[ne]=todo', 'limit=2&text=T', 'limit=2&due_date[gte]=2026-03-01', 'limit=2&due_date[gt]=2026-03-01'];
                const cursors = [];
                for (const list of lists) cursors.push(expectStatus(await tasks.get(`${path}?${list}`), 200).body.next);
                for (const [i, cursor] of cursors.entries())
                    for (const [k, list] of lists.entries()) {
                        const answer = await tasks.get(`${path}?${list}&after=${cursor}`);
                        if (i === k) expectStatus(answer, 200);
                        else expectProblem(answer, 400, 'bad-request');
                        if (i !== k) assert.match(answer.body.errors[0].detail, /another order, other filters/);
                    }
                expectStatus(await tasks.get(`${path}?limit=9&after=${cursors[0]}`), 200);
                const elsewhere = await newProject(tasks);
                for (const [client, at] of [[tasks, `/v1/projects/${elsewhere.id}/tasks`], [tasks, '/v1/projects'], [other, '/v1/projects']])
                    expectProblem(await client.get(`${at}?after=${cursors[0]}`), 400, 'bad-request');
            });

            test('test_cursor_that_was_changed_then_400_or_a_page_and_never_500', async () => {
                const { next } = expectStatus(await tasks.get(`${path}?limit=2&sort=due_date`), 200).body;
                for (let at = 0; at < next.length; at++)
                    for (const letter of ['A', '_', 'z']) {
                        const { status } = await tasks.get(`${path}?limit=2&sort=due_date&after=${next.slice(0, at)}${letter}${next.slice(at + 1)}`);
                        assert.ok(status === 200 || status === 400, `${status} for ${letter} at ${at} of ${next}`);
                    }
            });

            test('test_cursor_of_the_version_before_then_the_list_goes_on', async () => {
                const { data } = expectStatus(await tasks.get(`${path}?limit=2`), 200).body;
                const octets = Buffer.alloc(24);
                octets.writeBigUInt64BE(BigInt(Date.parse(data[1].created_at)) * 1000n);
                Buffer.from(data[1].id.replaceAll('-', ''), 'hex').copy(octets, 8);
                const after = octets.toString('base64url');
                const page = expectStatus(await tasks.get(`${path}?limit=2&after=${after}`), 200);
                assert.deepEqual(page.body.data.map(({ title }) => title), ordered('created_at', () => true).slice(2, 4));
                for (const list of ['sort=due_date', 'sort=-created_at', 'status[ne]=todo'])
                    expectProblem(await tasks.get(`${path}?${list}&after=${after}`), 400, 'bad-request');
            });

            test('test_fields_then_only_those_and_the_id_in_the_order_of_the_schema', async () => {
                const of = async (query) => expectStatus(await tasks.get(`${path}?limit=2&${query}`), 200).body.data;
                const [first, second] = rows, pick = ({ id, title, due_date }) => ({ id, title, due_date });
                assert.deepEqual(await of('fields=due_date,title'), [pick(first), pick(second)]);
                assert.deepEqual(Object.keys((await of('fields=due_date,title'))[0]), ['id', 'title', 'due_date']);
                assert.deepEqual(await of('fields=id'), [{ id: first.id }, { id: second.id }]);
                assert.deepEqual(await of(`fields=${Object.keys(first)}`), await of(''));
                assert.deepEqual((await walk(tasks, `${path}?fields=title&limit=5&sort=-due_date`)).map(({ title }) => title), ordered('-due_date', () => true));
            });

            test('test_include_then_the_other_entities_as_members_or_null', async () => {
                const [top] = rows;
                const below = await newTask(tasks, { id: top.project_id }, { title: 'Below', parent_task_id: top.id });
                const { data } = expectStatus(await tasks.get(`${path}?include=project,parent_task&fields=title&sort=-created_at&limit=2`), 200).body;
                const project = expectStatus(await tasks.get(`/v1/projects/${top.project_id}`), 200).body;
                const parent = expectStatus(await tasks.get(`${path}/${top.id}`), 200).body;
                assert.deepEqual(data[0], { id: below.id, title: 'Below', project, parent_task: parent });
                assert.equal(data[1].parent_task, null);
                const searched = expectStatus(await tasks.get(`${path}?include=project&text=Below`), 200).body.data;
                assert.deepEqual(searched.map((task) => task.project), [project]);
                expectStatus(await tasks.delete(`${path}/${below.id}`), 204);
            });

            test('test_include_allowed_then_what_the_status_may_become_for_who_may_change_it', async () => {
                const next = { todo: ['in-progress', 'review', 'completed', 'blocked'], review: ['todo', 'in-progress', 'completed', 'blocked'],
                    blocked: ['todo', 'in-progress', 'review'] };
                const { data } = expectStatus(await tasks.get(`${path}?include=allowed&limit=200`), 200).body;
                for (const { status, allowed } of data) assert.deepEqual(allowed, { status: next[status] });
                // A role that writes no projects.
                const { id } = await newProject(tasks, { status: 'active' }), user = await shared.stack.addUser(company, 'supervisor');
                expectStatus(await tasks.post(`/v1/projects/${id}/members`, { user_id: user }), 201);
                const [mine, theirs] = [tasks, shared.stack.client({ company, user, role: 'supervisor' })];
                for (const [client, expected] of [[mine, ['on-hold', 'completed', 'cancelled']], [theirs, []]]) {
                    const { data: [one] } = expectStatus(await client.get('/v1/projects?status=active&include=allowed'), 200).body;
                    assert.deepEqual(one.allowed, { status: expected });
                }
            });

            test('test_count_when_preferred_then_that_of_all_pages_and_else_none', async () => {
                const prefer = { prefer: 'count=exact' };
                for (const [filter, fits] of Object.entries(filters()))
                    for (const sort of ['created_at', '-due_date']) {
                        const answer = expectStatus(await tasks.get(`${path}?limit=2&sort=${sort}&${filter}`, prefer), 200);
                        assert.equal(answer.body.count, rows.filter(fits).length, `${filter} by ${sort}`);
                        assert.equal(answer.headers['preference-applied'], 'count=exact');
                        if (!answer.body.next) continue;
                        const next = expectStatus(await tasks.get(`${path}?limit=2&sort=${sort}&${filter}&after=${answer.body.next}`, prefer), 200);
                        assert.equal(next.body.count, answer.body.count);
                    }
                const empty = await newProject(tasks);
                assert.deepEqual((await tasks.get(`/v1/projects/${empty.id}/tasks`, prefer)).body, { data: [], next: null, count: 0 });
                expectProblem(await tasks.get(`/v1/projects/${randomUUID()}/tasks`, prefer), 404, 'not-found');
                for (const other of [{}, { prefer: 'count=planned' }, { prefer: 'respond-async' }]) {
                    const answer = await tasks.get(path, other);
                    assert.ok(!('count' in answer.body));
                    assert.equal(answer.headers['preference-applied'], undefined);
                }
            });

            test('test_query_that_names_what_is_not_there_then_400_that_names_what_is', async () => {
                for (const [query, words] of [
                    ['colour=red', ['limit', 'after', 'sort', 'text', 'status', 'due_date', 'assignee_id']],
                    ['sort=title', ['created_at', 'due_date']],
                    ['fields=title,colour', ['id', 'title', 'due_date', 'updated_at']],
                    ['fields=', ['id', 'title']],
                    ['include=assignee', ['project', 'parent_task', 'allowed']],
                    ['include=project,project.tasks', ['project', 'parent_task', 'allowed']],
                    ['due_date[like]=x', ['ne', 'gte', 'gt', 'lte', 'lt']],
                    ['status[gte]=todo', ['ne']],
                ]) {
                    const answer = await tasks.get(`${path}?${query}`);
                    expectProblem(answer, 400, 'bad-request');
                    const [{ detail }] = answer.body.errors;
                    for (const word of words) assert.match(detail, new RegExp(`\\b${word}\\b`), query);
                }
            });
        });
    });
}
