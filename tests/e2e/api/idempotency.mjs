import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';
import { expectCreated, expectProblem, expectStatus, newProject } from './expect.mjs';

const isReplayed = ({ headers }) => {
    assert.ok([undefined, 'true'].includes(headers['idempotent-replayed']));
    return 'idempotent-replayed' in headers;
};

export function idempotency(shared) {
    describe('Idempotency-Key', () => {
        test('test_create_again_with_the_same_key_and_body_then_the_first_result', async () => {
            const api = shared.stack.client();
            const key = { 'idempotency-key': randomUUID() };
            const first = expectCreated(await api.post('/v1/projects', { name: 'Once' }, key), '/v1/projects');
            const again = expectCreated(await api.post('/v1/projects', { name: 'Once' }, key), '/v1/projects');
            assert.deepEqual(again, first);
        });

        test('test_create_again_with_the_same_key_and_another_body_then_422', async () => {
            const api = shared.stack.client();
            const key = { 'idempotency-key': randomUUID() };
            expectCreated(await api.post('/v1/projects', { name: 'Once' }, key), '/v1/projects');
            expectProblem(await api.post('/v1/projects', { name: 'Twice' }, key), 422, 'idempotency-mismatch');
        });

        test('test_respond_async_with_the_same_key_and_another_body_then_422', async () => {
            const api = shared.stack.client();
            const headers = { 'idempotency-key': randomUUID(), prefer: 'respond-async' };
            expectCreated(await api.post('/v1/projects', { name: 'Once' }, { 'idempotency-key': headers['idempotency-key'] }), '/v1/projects');
            expectStatus(await api.post('/v1/projects', { name: 'Once' }, headers), 202);
            expectProblem(await api.post('/v1/projects', { name: 'Twice' }, headers), 422, 'idempotency-mismatch');
        });

        test('test_a_replayed_answer_then_a_header_says_so_and_no_other_answer_has_it', async () => {
            const api = shared.stack.client();
            const asked = async (count, ask) => {
                const answers = [];
                for (let i = 0; i < count; i++) answers.push(await ask());
                return answers.map(isReplayed);
            };
            const key = () => ({ 'idempotency-key': randomUUID() });
            const [made, changed, stale, gone, late] = [key(), key(), { ...key(), 'if-match': '"7"' }, key(), { ...key(), prefer: 'respond-async' }];
            const { id } = expectCreated(await api.post('/v1/projects', { name: 'Once' }, made), '/v1/projects');
            const path = `/v1/projects/${id}`;
            assert.deepEqual(await asked(2, () => api.post('/v1/projects', { name: 'Once' }, made)), [true, true]);
            assert.deepEqual(await asked(1, () => api.post('/v1/projects', { name: 'Other' }, made)), [false], 'a mismatch is no replay');
            assert.deepEqual(await asked(2, () => api.patch(path, { name: 'x' }, changed)), [false, true]);
            assert.deepEqual(await asked(2, () => api.patch(path, { name: 'x' }, stale)), [false, true]);
            assert.deepEqual(await asked(2, () => api.patch(path, { name: 'x' })), [false, false], 'without a key');
            assert.deepEqual(await asked(2, () => api.delete(path, gone)), [false, true]);
            const { location } = expectStatus(await api.post('/v1/projects', { name: 'Late' }, late), 202).headers;
            await until(async () => (await api.get(location)).body.status === 'succeeded', 15_000, 'the command to run');
            assert.deepEqual(await asked(1, () => api.post('/v1/projects', { name: 'Late' }, late)), [true]);
        });

        test('test_key_sent_twice_then_400', async () => {
            const api = shared.stack.client();
            expectProblem(await api.post('/v1/projects', { name: 'x' }, { 'idempotency-key': ['one', 'two'] }), 400, 'bad-request');
        });

        test('test_the_same_key_on_another_route_then_422', async () => {
            const api = shared.stack.client();
            const key = { 'idempotency-key': randomUUID() };
            const project = expectCreated(await api.post('/v1/projects', { name: 'Once' }, key), '/v1/projects');
            expectProblem(await api.delete(`/v1/projects/${project.id}`, key), 422, 'idempotency-mismatch');
            expectStatus(await api.get(`/v1/projects/${project.id}`), 200);
        });

        test('test_fifty_at_once_with_the_same_key_then_one_row_and_one_answer', async () => {
            const company = await shared.stack.addCompany();
            const api = shared.stack.client({ company });
            const key = { 'idempotency-key': 'crane-7' };
            const answers = await Promise.all(Array.from({ length: 50 }, () => api.post('/v1/projects', { name: 'Crane' }, key)));
            const made = answers.map((answer) => expectCreated(answer, '/v1/projects'));
            assert.equal(new Set(made.map((project) => project.id)).size, 1);
            assert.equal(answers.filter(isReplayed).length, 49, 'all answers but that of the request that ran');
            const [{ projects, events, seq }] = await shared.stack.query(`SELECT
                (SELECT count(*) FROM project WHERE company_id = '${company}') AS projects,
                (SELECT count(*) FROM events WHERE company_id = '${company}') AS events,
                (SELECT seq FROM company_sequence WHERE company_id = '${company}') AS seq`);
            assert.deepEqual({ projects, events, seq }, { projects: 1, events: 1, seq: 1 });
        });

        test('test_a_refusal_asked_for_again_then_the_same_refusal', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const key = { 'idempotency-key': randomUUID(), 'if-match': '"9"' };
            expectProblem(await api.patch(`/v1/projects/${project.id}`, { name: 'x' }, key), 412, 'version-conflict');
            expectProblem(await api.patch(`/v1/projects/${project.id}`, { name: 'x' }, key), 412, 'version-conflict');
        });

        test('test_update_and_delete_again_with_the_same_key_then_done_once', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const path = `/v1/projects/${project.id}`;
            const [change, removal] = [{ 'idempotency-key': randomUUID() }, { 'idempotency-key': randomUUID() }];
            for (let i = 0; i < 2; i++)
                assert.equal(expectStatus(await api.patch(path, { name: 'Changed' }, change), 200).body.version, 2);
            for (let i = 0; i < 2; i++) expectStatus(await api.delete(path, removal), 204);
        });

        test('test_the_same_key_in_two_companies_then_two_projects', async () => {
            const key = { 'idempotency-key': 'shared-key' };
            const ids = [];
            for (const company of [await shared.stack.addCompany(), await shared.stack.addCompany()]) {
                const answer = await shared.stack.client({ company }).post('/v1/projects', { name: 'Mine' }, key);
                ids.push(expectCreated(answer, '/v1/projects').id);
            }
            assert.notEqual(ids[0], ids[1]);
        });
    });
}
