import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { send } from '../../lib/http.mjs';
import { expectProblem, expectStatus, newProject } from './expect.mjs';

export function reads(shared) {
    describe('reads', () => {
        test('test_get_when_the_etag_is_known_then_304_without_a_body', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const path = `/v1/projects/${project.id}`;
            const etag = (await api.get(path)).headers.etag;
            for (const known of [etag, `W/${etag}`, `"77", ${etag}`, '*']) {
                const answer = expectStatus(await api.get(path, { 'if-none-match': known }), 304);
                assert.equal(answer.text, '');
                assert.equal(answer.headers.etag, etag);
            }
            expectStatus(await api.get(path, { 'if-none-match': '"77"' }), 200);
            expectStatus(await api.patch(path, { name: 'Changed' }), 200);
            expectStatus(await api.get(path, { 'if-none-match': etag }), 200);
        });

        test('test_head_then_the_head_of_get_without_a_body', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            for (const path of [`/v1/projects/${project.id}`, '/v1/projects?limit=1', '/healthz', '/openapi.json']) {
                const [get, head] = [await api.get(path), await api.head(path)];
                assert.equal(head.status, 200);
                assert.equal(head.text, '');
                assert.equal(head.headers['content-length'], get.headers['content-length'], path);
                assert.equal(head.headers.etag, get.headers.etag);
            }
        });

        test('test_health_and_readiness_without_a_token_then_200', async () => {
            for (const path of ['/healthz', '/readyz']) expectStatus(await send(shared.stack.url + path), 200);
        });

        test('test_request_id_then_echoed_when_it_is_sane_and_ours_when_it_is_not', async () => {
            const api = shared.stack.client();
            const mine = (await api.get('/v1/projects', { 'x-request-id': 'trace-42' })).headers['x-request-id'];
            assert.equal(mine, 'trace-42');
            const ours = (await api.get('/v1/projects', { 'x-request-id': 'a b"c' })).headers['x-request-id'];
            assert.match(ours, /^[\w-]{8,}$/);
        });

        test('test_method_that_a_path_does_not_have_then_405_with_allow', async () => {
            const answer = expectProblem(await shared.stack.client().call('PUT', '/v1/projects', { body: {} }), 405,
                'method-not-allowed');
            assert.deepEqual(answer.headers.allow.split(/, */).filter((method) => ['GET', 'POST'].includes(method)).sort(),
                ['GET', 'POST']);
        });

        test('test_path_that_is_not_there_then_404', async () => {
            const api = shared.stack.client();
            for (const path of ['/', '/v1', '/v1/', '/v1/nothing', '/v1/projects/', '/v1/projects/x', '/v1/projects/%00'])
                assert.ok([400, 404].includes((await api.get(path)).status), path);
        });

        test('test_body_that_is_not_json_by_its_type_then_415', async () => {
            const answer = await shared.stack.client().post('/v1/projects', 'name=x', { 'content-type': 'text/plain' });
            expectProblem(answer, 415, 'unsupported-media');
        });
    });

    describe('openapi', () => {
        test('test_openapi_then_every_route_and_schema_is_described', async () => {
            const { body } = expectStatus(await send(`${shared.stack.url}/openapi.json`), 200);
            assert.match(body.openapi, /^3\.1\./);
            const paths = Object.keys(body.paths).sort();
            for (const path of ['/healthz', '/readyz', '/v1/projects', '/v1/projects/{id}', '/v1/operations/{id}'])
                assert.ok(paths.includes(path), `${path} in ${paths}`);
            assert.ok(paths.some((path) => /^\/v1\/projects\/\{\w+\}\/tasks\/\{\w+\}$/.test(path)), `tasks in ${paths}`);
            assert.deepEqual(Object.keys(body.paths['/v1/projects/{id}']).filter((key) => key !== 'parameters').sort(),
                ['delete', 'get', 'patch']);
        });

        test('test_openapi_then_every_reference_leads_somewhere', async () => {
            const { body } = await send(`${shared.stack.url}/openapi.json`);
            const follow = (reference) => reference.replace(/^#\//, '').split('/')
                .map((step) => step.replace(/~1/g, '/').replace(/~0/g, '~'))
                .reduce((value, step) => value?.[step], body);
            let references = 0;
            (function visit(value) {
                if (value === null || typeof value !== 'object') return;
                if (typeof value.$ref === 'string') {
                    references += 1;
                    assert.ok(value.$ref.startsWith('#/') && follow(value.$ref) !== undefined, value.$ref);
                }
                Object.values(value).forEach(visit);
            })(body);
            assert.ok(references > 0);
        });
    });
}
