import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { expectProblem, expectStatus, newProject, newTask } from './expect.mjs';

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
    });
}
