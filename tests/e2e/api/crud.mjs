import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { expectCreated, expectProblem, expectStatus, newProject, newTask, pointersOf } from './expect.mjs';

export function crud(shared) {
    describe('projects', () => projects(shared));
    describe('tasks', () => tasks(shared));
    describe('rules', () => rules(shared));
}

function projects(shared) {
    test('test_create_with_every_field_then_201_and_the_same_fields_are_read', async () => {
        const api = shared.stack.client();
        const manager = await shared.stack.addUser(shared.stack.company);
        const fields = {
            name: 'Harbour bridge', description: 'Steel — 48 m, "night" work\n', status: 'active', priority: 'high',
            start_date: '2026-03-01', end_date: '2027-02-28', budget: 1234567.89, address: '1 Quay', manager_id: manager,
            archived: false,
        };
        const made = expectCreated(await api.post('/v1/projects', fields), '/v1/projects');
        for (const [name, value] of Object.entries(fields)) assert.deepEqual(made[name], value, name);
        assert.match(made.number, /^PRJ-\d{4}-\d{4,}$/);
        assert.equal(made.progress, 0);
        assert.ok(Math.abs(Date.parse(made.created_at) - Date.now()) < 60_000);

        const read = expectStatus(await api.get(`/v1/projects/${made.id}`), 200);
        assert.deepEqual(read.body, made);
        assert.equal(read.headers.etag, '"1"');
    });

    test('test_create_with_only_what_is_required_then_defaults_and_nulls', async () => {
        const made = await newProject(shared.stack.client());
        const { description, status, priority, budget, actual_cost, archived, manager_id } = made;
        assert.deepEqual({ description, status, priority, budget, actual_cost, archived, manager_id },
            { description: null, status: 'planning', priority: 'medium', budget: null, actual_cost: 0, archived: false,
                manager_id: null });
    });

    test('test_create_with_several_mistakes_then_422_names_every_field', async () => {
        const answer = await shared.stack.client().post('/v1/projects',
            { name: '', status: 'dreaming', budget: -1, start_date: '2026-02-30', manager_id: 'me', colour: 'red', id: randomUUID() });
        expectProblem(answer, 422, 'validation');
        assert.deepEqual(pointersOf(answer),
            ['/budget', '/colour', '/id', '/manager_id', '/name', '/start_date', '/status']);
    });

    test('test_create_without_a_required_field_then_422_names_it', async () => {
        const answer = expectProblem(await shared.stack.client().post('/v1/projects', { description: 'x' }), 422, 'validation');
        assert.deepEqual(pointersOf(answer), ['/name']);
    });

    test('test_update_when_if_match_fits_then_200_and_the_next_version', async () => {
        const api = shared.stack.client();
        const made = await newProject(api, { description: 'before', priority: 'low' });
        const answer = expectStatus(await api.patch(`/v1/projects/${made.id}`, { description: null, priority: 'critical' },
            { 'if-match': '"1"' }), 200);
        assert.equal(answer.headers.etag, '"2"');
        assert.deepEqual({ ...answer.body, updated_at: '' },
            { ...made, description: null, priority: 'critical', version: 2, updated_at: '' });
        assert.deepEqual((await api.get(`/v1/projects/${made.id}`)).body, answer.body);
    });

    test('test_update_when_if_match_is_stale_then_412_and_nothing_changes', async () => {
        const api = shared.stack.client();
        const made = await newProject(api);
        expectStatus(await api.patch(`/v1/projects/${made.id}`, { name: 'First' }, { 'if-match': '"1"' }), 200);
        expectProblem(await api.patch(`/v1/projects/${made.id}`, { name: 'Second' }, { 'if-match': '"1"' }), 412, 'version-conflict');
        const { name, version } = (await api.get(`/v1/projects/${made.id}`)).body;
        assert.deepEqual({ name, version }, { name: 'First', version: 2 });
    });

    test('test_update_without_if_match_then_200', async () => {
        const api = shared.stack.client();
        const made = await newProject(api);
        assert.equal(expectStatus(await api.patch(`/v1/projects/${made.id}`, { name: 'Renamed' }), 200).body.name, 'Renamed');
    });

    test('test_update_of_what_is_not_there_then_404', async () => {
        expectProblem(await shared.stack.client().patch(`/v1/projects/${randomUUID()}`, { name: 'x' }), 404, 'not-found');
    });

    test('test_update_with_mistakes_then_422_names_every_field', async () => {
        const api = shared.stack.client();
        const made = await newProject(api);
        const answer = await api.patch(`/v1/projects/${made.id}`, { name: null, progress: 50, priority: 'urgent' });
        expectProblem(answer, 422, 'validation');
        assert.deepEqual(pointersOf(answer), ['/name', '/priority', '/progress']);
    });

    test('test_delete_then_204_and_it_is_gone', async () => {
        const api = shared.stack.client();
        const made = await newProject(api);
        const answer = expectStatus(await api.delete(`/v1/projects/${made.id}`), 204);
        assert.equal(answer.text, '');
        expectProblem(await api.get(`/v1/projects/${made.id}`), 404, 'not-found');
        expectProblem(await api.delete(`/v1/projects/${made.id}`), 404, 'not-found');
    });

    test('test_delete_when_if_match_is_stale_then_412_and_it_stays', async () => {
        const api = shared.stack.client();
        const made = await newProject(api);
        expectStatus(await api.patch(`/v1/projects/${made.id}`, { name: 'Newer' }), 200);
        expectProblem(await api.delete(`/v1/projects/${made.id}`, { 'if-match': '"1"' }), 412, 'version-conflict');
        expectStatus(await api.get(`/v1/projects/${made.id}`), 200);
    });

    test('test_numbers_of_a_company_then_in_sequence_without_gaps', async () => {
        const api = shared.stack.client({ company: await shared.stack.addCompany() });
        const made = await Promise.all(Array.from({ length: 20 }, () => newProject(api)));
        const year = new Date().getUTCFullYear();
        const expected = Array.from({ length: 20 }, (_, i) => `PRJ-${year}-${String(i + 1).padStart(4, '0')}`);
        assert.deepEqual(made.map((project) => project.number).sort(), expected);
    });
}

function tasks(shared) {
    test('test_task_created_read_changed_deleted_then_as_a_client_expects', async () => {
        const api = shared.stack.client();
        const project = await newProject(api);
        const path = `/v1/projects/${project.id}/tasks`;
        const made = await newTask(api, project, { title: 'Dig', estimated_hours: 12.5, due_date: '2026-05-01' });
        assert.equal(made.project_id, project.id);
        assert.equal(made.estimated_hours, 12.5);
        assert.deepEqual((await api.get(`${path}/${made.id}`)).body, made);

        const changed = expectStatus(await api.patch(`${path}/${made.id}`, { status: 'in-progress' }, { 'if-match': '"1"' }), 200);
        assert.equal(changed.body.status, 'in-progress');
        expectProblem(await api.patch(`${path}/${made.id}`, { title: 'x' }, { 'if-match': '"1"' }), 412, 'version-conflict');

        expectStatus(await api.delete(`${path}/${made.id}`), 204);
        expectProblem(await api.get(`${path}/${made.id}`), 404, 'not-found');
    });

    test('test_task_of_a_project_that_is_not_there_then_404', async () => {
        const api = shared.stack.client();
        const path = `/v1/projects/${randomUUID()}/tasks`;
        expectProblem(await api.post(path, { title: 'Dig' }), 404, 'not-found');
        expectProblem(await api.get(`${path}/${randomUUID()}`), 404, 'not-found');
    });

    test('test_task_by_the_path_of_another_project_then_404', async () => {
        const api = shared.stack.client();
        const [one, other] = [await newProject(api), await newProject(api)];
        const task = await newTask(api, one);
        const path = `/v1/projects/${other.id}/tasks/${task.id}`;
        expectProblem(await api.get(path), 404, 'not-found');
        expectProblem(await api.patch(path, { title: 'x' }), 404, 'not-found');
        expectProblem(await api.delete(path), 404, 'not-found');
    });
}

function rules(shared) {
    test('test_progress_of_a_project_when_its_tasks_move_then_weighted_by_hours', async () => {
        const api = shared.stack.client();
        const project = await newProject(api);
        const path = `/v1/projects/${project.id}/tasks`;
        const big = await newTask(api, project, { estimated_hours: 30 });
        await newTask(api, project, { estimated_hours: 10 });
        expectStatus(await api.patch(`${path}/${big.id}`, { progress: 100 }), 200);
        assert.equal((await api.get(`/v1/projects/${project.id}`)).body.progress, 75);
        expectStatus(await api.delete(`${path}/${big.id}`), 204);
        assert.equal((await api.get(`/v1/projects/${project.id}`)).body.progress, 0);
    });

    test('test_status_change_that_is_not_allowed_then_409_and_nothing_changes', async () => {
        const api = shared.stack.client();
        const project = await newProject(api);
        expectStatus(await api.patch(`/v1/projects/${project.id}`, { status: 'cancelled' }), 200);
        expectProblem(await api.patch(`/v1/projects/${project.id}`, { status: 'completed' }), 409, 'illegal-transition');
        assert.equal((await api.get(`/v1/projects/${project.id}`)).body.status, 'cancelled');
    });

    test('test_new_task_when_the_project_is_cancelled_then_409', async () => {
        const api = shared.stack.client();
        const project = await newProject(api);
        expectStatus(await api.patch(`/v1/projects/${project.id}`, { status: 'cancelled' }), 200);
        expectProblem(await api.post(`/v1/projects/${project.id}/tasks`, { title: 'Late' }), 409, 'conflict');
    });

    test('test_end_before_start_then_422_points_at_the_end', async () => {
        const api = shared.stack.client();
        const answer = await api.post('/v1/projects', { name: 'x', start_date: '2026-02-02', end_date: '2026-02-01' });
        expectProblem(answer, 422, 'validation');
        assert.deepEqual(pointersOf(answer), ['/end_date']);
    });
}
