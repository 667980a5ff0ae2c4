import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';
import { expectProblem, expectStatus } from '../api/expect.mjs';

const paths = () => [
    ['get', '/v1/admin/pools'], ['get', '/v1/admin/pools/projects'], ['put', '/v1/admin/pools/projects'],
    ['get', '/v1/admin/dead-letters'], ['delete', '/v1/admin/dead-letters'], ['get', `/v1/admin/dead-letters/${randomUUID()}`],
    ['post', '/v1/admin/dead-letters/replay'], ['post', `/v1/admin/dead-letters/${randomUUID()}/replay`],
];

export function access(shared) {
    describe('operators only', () => {
        test('test_admin_route_with_any_other_role_then_403', async () => {
            for (const role of ['company_admin', 'project_manager', 'operative', 'developer'])
                for (const [method, path] of paths())
                    expectProblem(await shared.stack.client({ role })[method](path), 403, 'forbidden');
        });

        test('test_admin_route_without_a_pool_that_runs_then_503', async () => {
            const { stack } = shared;
            const operator = stack.client({ role: 'super_admin' });
            await stack.worker.kill();
            const answer = await until(async () => {
                const reply = await operator.post('/v1/admin/dead-letters/replay', {});
                return reply.body.detail === 'no process of this pool is running' && reply;
            });
            expectProblem(answer, 503, 'unroutable');
            await stack.worker.start();
            await until(async () => (await operator.post('/v1/admin/dead-letters/replay', {})).status === 200);
        });

        test('test_admin_routes_then_they_are_in_the_openapi_document', async () => {
            const { paths: all } = expectStatus(await shared.stack.client().get('/openapi.json'), 200).body;
            for (const path of ['/v1/admin/dead-letters', '/v1/admin/dead-letters/{id}/replay'])
                if (!all[path]) throw new Error(`${path} is not in the document`);
        });
    });
}
