import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';
import { expectProblem, expectStatus, newProject, UUID } from './expect.mjs';

const operationOf = (answer) => answer.headers.location.match(/^\/v1\/operations\/(.*)$/)?.[1];

async function finished(api, location) {
    return until(async () => {
        const answer = expectStatus(await api.get(location), 200);
        return answer.body.status !== 'pending' && answer.body;
    }, 15_000, `${location} to finish`);
}

export function asynchronous(shared) {
    describe('Prefer', () => {
        test('test_respond_async_then_202_and_the_operation_succeeds', async () => {
            const api = shared.stack.client();
            const answer = expectStatus(await api.post('/v1/projects', { name: 'Later' }, { prefer: 'respond-async' }), 202);
            assert.match(operationOf(answer), UUID);
            assert.match(answer.headers['preference-applied'], /respond-async/);
            const operation = await finished(api, answer.headers.location);
            assert.equal(operation.status, 'succeeded');
            const project = expectStatus(await api.get(`/v1/projects/${operationOf(answer)}`), 200).body;
            assert.equal(project.name, 'Later');
        });

        test('test_respond_async_of_what_is_refused_then_the_operation_failed_with_the_problem', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const answer = expectStatus(await api.patch(`/v1/projects/${project.id}`, { name: 'x' },
                { prefer: 'respond-async', 'if-match': '"5"' }), 202);
            const operation = await finished(api, answer.headers.location);
            assert.equal(operation.status, 'failed');
            assert.equal(operation.problem.status, 412);
            assert.equal(operation.problem.type, '/problems/version-conflict');
        });

        test('test_wait_that_runs_out_then_202_and_the_work_is_done_later', async () => {
            const api = shared.stack.client();
            await shared.stack.worker.kill();
            const begun = Date.now();
            const answer = expectStatus(await api.post('/v1/projects', { name: 'Slow' }, { prefer: 'wait=1' }), 202);
            assert.ok(Date.now() - begun >= 900, 'it waited');
            await shared.stack.worker.start();
            assert.equal((await finished(api, answer.headers.location)).status, 'succeeded');
        });

        // A gateway cannot tell a command that is still on its way from one that never was.
        test('test_operation_that_has_not_run_then_pending', async () => {
            const answer = expectStatus(await shared.stack.client().get(`/v1/operations/${randomUUID()}`), 200);
            assert.equal(answer.body.status, 'pending');
        });

        test('test_operation_by_something_that_is_no_id_then_404', async () => {
            expectProblem(await shared.stack.client().get('/v1/operations/x'), 404, 'not-found');
        });
    });
}
