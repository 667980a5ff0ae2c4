import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';
import { expectStatus, newProject, newTask } from './expect.mjs';

export function tenants(shared) {
    describe('two companies', () => {
        let ours, theirs, project, task;

        before(async () => {
            ours = shared.stack.client({ company: await shared.stack.addCompany('Ours') });
            // The strongest role there is, in another company.
            theirs = shared.stack.client({ company: await shared.stack.addCompany('Theirs'), role: 'super_admin' });
            project = await newProject(ours, { name: 'Secret' });
            task = await newTask(ours, project);
        });

        test('test_every_route_with_the_ids_of_another_company_then_404_as_if_they_were_not_there', async () => {
            const projectPath = `/v1/projects/${project.id}`;
            const taskPath = `${projectPath}/tasks/${task.id}`;
            const attempts = [
                theirs.get(projectPath), theirs.head(projectPath), theirs.patch(projectPath, { name: 'Mine' }),
                theirs.delete(projectPath), theirs.get(`${projectPath}/tasks`), theirs.post(`${projectPath}/tasks`, { title: 'Mine' }),
                theirs.get(taskPath), theirs.patch(taskPath, { title: 'Mine' }), theirs.delete(taskPath),
            ];
            for (const answer of await Promise.all(attempts)) expectStatus(answer, 404);
            assert.deepEqual((await ours.get(projectPath)).body, project);
            assert.equal((await ours.get(taskPath)).body.version, 1);
        });

        test('test_lists_then_only_ones_own', async () => {
            await newProject(theirs, { name: 'Theirs' });
            const list = expectStatus(await theirs.get('/v1/projects'), 200).body.data;
            assert.deepEqual(list.map((entry) => entry.name), ['Theirs']);
        });

        test('test_operation_of_another_company_then_as_if_it_had_not_run', async () => {
            const answer = expectStatus(await ours.post('/v1/projects', { name: 'Later' }, { prefer: 'respond-async' }), 202);
            await until(async () => (await ours.get(answer.headers.location)).body.status === 'succeeded', 10_000, 'the operation');
            const { id, ...rest } = expectStatus(await theirs.get(answer.headers.location), 200).body;
            assert.deepEqual(rest, { status: 'pending' });
        });

        test('test_task_whose_parent_belongs_to_another_company_then_refused', async () => {
            const own = await newProject(theirs);
            const answer = await theirs.post(`/v1/projects/${own.id}/tasks`, { title: 'Sub', parent_task_id: task.id });
            assert.ok([404, 409, 422].includes(answer.status), `${answer.status}: ${answer.text}`);
        });
    });
}
