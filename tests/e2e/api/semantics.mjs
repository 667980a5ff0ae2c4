// What HTTP says about requests and answers of any kind: conditions, lists on several lines, caches, numbers.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { send } from '../../lib/http.mjs';
import { until } from '../../lib/process.mjs';
import { exchange, statuses } from '../../lib/raw.mjs';
import { expectConflict, expectProblem, expectStatus, newProject, newTask } from './expect.mjs';

const NEVER = ['W/"1"', '"nope"', '"99", W/"1"', ['"98"', '"99"']];
const FITS = ['"99", "1"', 'W/"1", "1"', ['"99"', '"1"'], '"1",\t"nope"', '*'];

export function semantics(shared) {
    describe('conditions of writes', () => {
        test('test_if_none_match_star_on_what_exists_then_412_and_it_stays', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const path = `/v1/projects/${project.id}`, any = { 'if-none-match': '*' };
            await expectConflict(api.patch(path, { name: 'x' }, any), '"1"');
            await expectConflict(api.delete(path, any), '"1"');
            assert.equal(expectStatus(await api.get(path), 200).body.version, 1);
            expectProblem(await api.patch(`/v1/projects/${randomUUID()}`, { name: 'x' }, any), 404, 'not-found');
        });

        test('test_if_match_as_a_list_or_weak_or_on_several_lines_then_one_strong_tag_must_fit', async () => {
            const api = shared.stack.client();
            for (const tags of NEVER) {
                const project = await newProject(api);
                await expectConflict(api.patch(`/v1/projects/${project.id}`, { name: 'x' }, { 'if-match': tags }), '"1"');
                await expectConflict(api.delete(`/v1/projects/${project.id}`, { 'if-match': tags }), '"1"');
            }
            for (const tags of FITS) {
                const project = await newProject(api);
                const answer = await api.patch(`/v1/projects/${project.id}`, { name: 'x' }, { 'if-match': tags });
                assert.equal(expectStatus(answer, 200).body.version, 2, String(tags));
            }
        });

        test('test_if_match_as_a_list_on_an_entity_below_another_then_one_tag_must_fit', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const task = await newTask(api, project);
            const path = `/v1/projects/${project.id}/tasks/${task.id}`;
            await expectConflict(api.patch(path, { title: 'x' }, { 'if-match': '"8", "9"' }), '"1"');
            expectStatus(await api.patch(path, { title: 'x' }, { 'if-match': '"1", "9"' }), 200);
            expectStatus(await api.delete(path, { 'if-match': ['"1"', '"2"'] }), 204);
        });

        test('test_if_none_match_with_tags_on_a_write_then_412_where_one_fits_even_weakly', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const path = `/v1/projects/${project.id}`;
            for (const tags of ['"1"', 'W/"1"', ['"7"', '"1"']])
                await expectConflict(api.patch(path, { name: 'x' }, { 'if-none-match': tags }), '"1"');
            expectStatus(await api.patch(path, { name: 'x' }, { 'if-none-match': '"7", "nope"' }), 200);
        });

        test('test_a_list_of_tags_with_an_idempotency_key_then_the_repeat_gets_the_first_result', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const headers = { 'if-match': '"1", "99"', 'idempotency-key': randomUUID() };
            for (let i = 0; i < 2; i++) {
                const answer = expectStatus(await api.patch(`/v1/projects/${project.id}`, { name: 'x' }, headers), 200);
                assert.equal(answer.body.version, 2);
            }
        });

        test('test_412_then_its_etag_is_that_of_the_entity_and_lets_the_next_try_in', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const task = await newTask(api, project);
            const below = `/v1/projects/${project.id}/tasks/${task.id}`, above = `/v1/projects/${project.id}`;
            for (const [path, change] of [[below, { title: 'y' }], [above, { name: 'y' }]]) {
                expectStatus(await api.patch(path, change), 200);
                const stale = { 'if-match': '"1"', 'idempotency-key': randomUUID() };
                for (let i = 0; i < 2; i++) await expectConflict(api.patch(path, change, stale), '"2"');
                const { etag } = (await api.get(path)).headers;
                expectProblem(await api.get(path, { 'if-match': '"1"' }), 412, 'version-conflict');
                await expectConflict(api.get(path, { 'if-match': '"1"' }), etag);
                const late = await api.patch(path, change, { 'if-match': '"1"', prefer: 'respond-async' });
                const { problem } = await until(async () => {
                    const { body } = await api.get(expectStatus(late, 202).headers.location);
                    return body.status === 'failed' && body;
                }, 15_000, 'the operation to fail');
                assert.equal(problem.version, 2);
                expectStatus(await api.delete(path, { 'if-match': etag, prefer: 'wait=30' }), 204);
            }
        });

        test('test_malformed_conditions_then_400', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            for (const headers of [{ 'if-match': '1' }, { 'if-match': '"1", *' }, { 'if-none-match': '1' }, { 'if-match': '"1' }])
                expectProblem(await api.patch(`/v1/projects/${project.id}`, { name: 'x' }, headers), 400, 'bad-request');
            for (const tags of ['1', '"1", *', ['"1"', 'W/1']])
                expectProblem(await api.get(`/v1/projects/${project.id}`, { 'if-match': tags }), 400, 'bad-request');
            expectStatus(await api.get(`/v1/projects/${project.id}`, { 'if-none-match': '1' }), 200);
        });

        test('test_if_match_on_a_create_then_only_that_the_collection_exists_can_be_demanded', async () => {
            const api = shared.stack.client();
            const create = tags => api.post('/v1/projects', { name: 'x' }, { 'if-match': tags });
            const { etag } = expectStatus(await api.get('/v1/projects'), 200).headers;
            for (const tags of ['"1"', etag, ['"1"', 'W/"2"']])
                expectProblem(await create(tags), 412, 'version-conflict');
            expectProblem(await create('1'), 400, 'bad-request');
            expectStatus(await create('*'), 201);
            expectStatus(await api.post('/v1/projects', { name: 'x' }, { 'if-none-match': '*' }), 201);
        });

        test('test_conditions_of_a_cancel_then_against_the_etag_of_the_operation', async () => {
            const api = shared.stack.client();
            const run_at = new Date(Date.now() + 3_600_000).toISOString();
            const { location } = expectStatus(await api.post('/v1/projects', { name: 'Later' }, { 'cortex-run-at': run_at }), 202).headers;
            const { etag } = await until(async () => {
                const answer = expectStatus(await api.get(location), 200);
                return answer.body.status === 'scheduled' && answer.headers;
            }, 15_000, 'the command to be scheduled');
            for (const headers of [{ 'if-match': '"98", "99"' }, { 'if-match': `W/${etag}` }, { 'if-none-match': etag }, { 'if-none-match': '*' }])
                await expectConflict(api.delete(location, headers), etag);
            expectStatus(await api.delete(location, { 'if-match': ['"98"', etag] }), 202);
        });
    });

    describe('reads and caches', () => {
        const readsOf = async (api) => {
            const project = await newProject(api);
            const task = await newTask(api, project);
            return ['/v1/projects', `/v1/projects/${project.id}`, `/v1/projects/${project.id}/tasks`,
                `/v1/projects/${project.id}/tasks/${task.id}`, '/v1/exports', '/v1/events?after=0&limit=5', '/v1/operations',
                `/v1/operations/${randomUUID()}`];
        };

        test('test_every_read_then_private_with_vary_and_an_etag_that_gives_304', async () => {
            const company = await shared.stack.addCompany();
            const api = shared.stack.client({ company });
            for (const path of await readsOf(api)) {
                const accept = { accept: 'application/json' };
                const answer = expectStatus(await api.get(path, accept), 200);
                assert.match(answer.headers['cache-control'], /^private\b/, path);
                assert.match(answer.headers.vary, /\bAuthorization\b/, path);
                assert.equal(answer.headers['x-content-type-options'], 'nosniff', path);
                assert.match(answer.headers.etag, /^"[^"]+"$/, path);
                const { etag } = answer.headers;
                for (const known of [etag, `W/${etag}`, ['"other"', etag], '*']) {
                    const again = expectStatus(await api.get(path, { ...accept, 'if-none-match': known }), 304);
                    assert.equal(again.headers.etag, etag);
                    assert.match(again.headers['cache-control'], /^private\b/);
                    assert.match(again.headers.vary, /\bAuthorization\b/);
                }
                expectStatus(await api.get(path, { ...accept, 'if-none-match': ['"other"', '"another"'] }), 200);
                expectStatus(await api.get(path, { ...accept, 'if-match': etag }), 200);
                expectProblem(await api.get(path, { ...accept, 'if-match': `W/${etag}` }), 412, 'version-conflict');
            }
        });

        test('test_a_list_that_has_changed_then_another_etag', async () => {
            const api = shared.stack.client({ company: await shared.stack.addCompany() });
            await newProject(api);
            const { etag } = (await api.get('/v1/projects')).headers;
            await newProject(api);
            assert.notEqual(expectStatus(await api.get('/v1/projects', { 'if-none-match': etag }), 200).headers.etag, etag);
        });

        test('test_refusals_and_writes_then_no_shared_cache_keeps_them', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            for (const answer of [await api.get('/v1/nothing'), await api.get(`/v1/projects/${randomUUID()}`), await send(`${shared.stack.url}/v1/projects`),
                await api.post('/v1/projects', 'x'), await api.patch(`/v1/projects/${project.id}`, { name: 'y' })]) {
                assert.match(answer.headers['cache-control'], /\b(private|no-store)\b/);
                assert.equal(answer.headers['x-content-type-options'], 'nosniff');
            }
        });

        test('test_accept_on_several_lines_then_one_list', async () => {
            const api = shared.stack.client();
            const { text } = await exchange(shared.stack.address, `GET /v1/events?limit=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${api.token}\r\n`
                + 'Accept: text/html\r\nAccept:\tapplication/json\t\r\nConnection: close\r\n\r\n');
            assert.deepEqual(statuses(text), [200]);
            assert.match(text, /Content-Type: application\/json/);
            assert.match(text, /Vary: [^\r]*Accept/);
        });
    });

    describe('requests', () => {
        const ask = (target, lines = '') =>
            exchange(shared.stack.address, `GET ${target} HTTP/1.1\r\nHost: a\r\n${lines}Connection: close\r\n\r\n`);

        test('test_bearer_with_several_blanks_then_as_with_one', async () => {
            const token = shared.stack.token();
            for (const blanks of [' ', '   ', ' \t ', '\t'])
                assert.deepEqual(statuses((await ask('/v1/projects?limit=1', `Authorization: Bearer${blanks}${token}\r\n`)).text), [200]);
            for (const value of ['Bearer', 'Bearer  ', `Bearer${token}`])
                assert.deepEqual(statuses((await ask('/v1/projects?limit=1', `Authorization: ${value}\r\n`)).text), [401]);
        });

        test('test_path_with_an_encoded_letter_then_400', async () => {
            const token = shared.stack.token();
            for (const target of ['/v1/%61dmin/pools', '/%761/projects', '/v1/project%73', '/v1/%2e%2e/v1/projects', '/v1/projects%2f'])
                assert.deepEqual(statuses((await ask(target, `Authorization: Bearer ${token}\r\n`)).text), [400], target);
        });

        test('test_whole_number_with_fraction_or_exponent_then_the_integer_everywhere', async () => {
            const api = shared.stack.client({ company: await shared.stack.addCompany() });
            const project = await newProject(api);
            await newProject(api);
            for (const limit of ['1', '1.0', '1e0', '10e-1']) {
                for (const path of ['/v1/projects', '/v1/operations', '/v1/events'])
                    expectStatus(await api.get(`${path}?limit=${limit}`, { accept: 'application/json' }), 200);
                assert.equal((await api.get(`/v1/projects?limit=${limit}`)).body.data.length, 1);
                assert.equal((await api.get(`/v1/events?limit=${limit}`, { accept: 'application/json' })).body.data.length, 1);
            }
            for (const limit of ['1.5', '1e-1', '0.0', '1e400', 'x', '']) {
                expectStatus(await api.get(`/v1/projects?limit=${limit}`), 400);
                expectStatus(await api.get(`/v1/events?limit=${limit}`, { accept: 'application/json' }), 400);
            }
            for (const [budget, stored] of [['5.0', 5], ['1e1', 10], ['0.2e2', 20]]) {
                const answer = await api.patch(`/v1/projects/${project.id}`, `{"budget":${budget}}`);
                assert.equal(expectStatus(answer, 200).body.budget, stored);
            }
            const operator = shared.stack.client({ role: 'super_admin' });
            for (const limit of ['5', '5.0', '1e1']) {
                expectStatus(await operator.get(`/v1/admin/acts?limit=${limit}`), 200);
                expectStatus(await operator.delete(`/v1/admin/dead-letters?limit=${limit}`), 200);
                expectStatus(await operator.post('/v1/admin/dead-letters/replay', `{"limit":${limit}}`), 200);
            }
            expectStatus(await operator.delete('/v1/admin/dead-letters?limit=5.5'), 400);
            expectProblem(await operator.post('/v1/admin/dead-letters/replay', '{"limit":5.5}'), 422, 'validation');
        });

        test('test_patch_of_another_type_then_415_with_accept_patch_and_options_says_it_too', async () => {
            const api = shared.stack.client();
            const project = await newProject(api);
            const path = `/v1/projects/${project.id}`;
            const refused = expectProblem(await api.patch(path, '[]', { 'content-type': 'application/json-patch+json' }), 415, 'unsupported-media');
            for (const answer of [refused, expectStatus(await api.call('OPTIONS', path), 204)])
                assert.match(answer.headers['accept-patch'], /application\/merge-patch\+json/);
            assert.equal((await api.call('OPTIONS', '/v1/projects')).headers['accept-patch'], undefined);
        });

        test('test_retry_after_then_clients_are_spread', async () => {
            const api = shared.stack.client();
            const waits = new Set();
            for (let i = 0; i < 40; i++) waits.add((await api.get(`/v1/operations/${randomUUID()}`)).headers['retry-after']);
            assert.ok(waits.size > 1, [...waits].join());
            for (const wait of waits) assert.match(wait, /^[1-9]$/);
        });
    });
}
