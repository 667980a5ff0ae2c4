import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { expectProblem, expectStatus } from '../api/expect.mjs';
import { Described } from '../../lib/described.mjs';
import { slot } from '../../lib/partition.mjs';

// A dead letter as the engine leaves it: {"name": name} is 0x81 0x03 and the text.
export async function addLetter(stack, company, name, more = {}) {
    const row = { id: randomUUID(), pool: 'projects', type: 'project.create', reason: 'poison', at: '2026-01-02T03:04:05Z', ...more };
    const body = row.body ?? `\\x8103${(0xa0 + name.length).toString(16)}${Buffer.from(name).toString('hex')}`;
    await stack.run(`INSERT INTO dead_letter (id, pool, company_id, command_id, slot, reason, detail, attempts, first_at, last_at, type,
        actor, role, fingerprint, body) SELECT '${row.id}', '${row.pool}', '${company}', '${row.command ?? randomUUID()}',
        ${slot(company)}, '${row.reason}', 'because', 3, '${row.at}', '${row.at}', '${row.type}', '${randomUUID()}', 'company_admin', 1,
        '${body}'`);
    return row.id;
}

async function everyPage(operator, query) {
    const deadLetters = [];
    for (let path = `/v1/admin/dead-letters?${query}`; path;) {
        const answer = expectStatus(await operator.get(path), 200);
        deadLetters.push(...answer.body.data);
        path = answer.headers.link?.match(/<([^>]*)>; rel="next"/)?.[1];
    }
    return deadLetters;
}

export function deadLetters(shared) {
    const operatorOf = ({ stack }) => stack.client({ role: 'super_admin' });

    describe('dead letters', () => {
        test('test_list_with_filters_then_those_that_fit_in_pages', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            const ids = [];
            for (let i = 0; i < 7; i++)
                ids.push(await addLetter(stack, company, `n${i}`, { at: `2026-01-0${i + 1}T00:00:00Z`, type: i % 2 ? 'task.create' : 'project.create' }));
            const list = async (query) => (await everyPage(operator, `company=${company}&${query}`)).map((deadLetter) => deadLetter.id);
            assert.deepEqual(await list('limit=3'), ids);
            assert.deepEqual(await list('type=task.create'), [ids[1], ids[3], ids[5]]);
            assert.deepEqual(await list('since=2026-01-06T00:00:00Z'), ids.slice(5));
            assert.deepEqual(await list('before=2026-01-02T00:00:00Z'), ids.slice(0, 1));
            assert.deepEqual(await list('reason=delivery_limit'), []);
            assert.deepEqual(await list('pool=nobody'), []);
        });

        test('test_list_with_a_query_that_does_not_fit_then_400_with_the_parameters', async () => {
            const answer = await operatorOf(shared).get('/v1/admin/dead-letters?since=yesterday&limit=x&colour=red&company=1&type=a&type=b');
            expectProblem(answer, 400, 'bad-request');
            assert.deepEqual(answer.body.errors.map((error) => error.pointer).sort(), ['?colour', '?company', '?limit', '?since', '?type']);
        });

        test('test_replay_with_a_body_that_does_not_fit_then_422_with_pointers', async () => {
            const answer = await operatorOf(shared).post('/v1/admin/dead-letters/replay', { since: 'yesterday', limit: 0, colour: 1 });
            expectProblem(answer, 422, 'validation');
            assert.deepEqual(answer.body.errors.map((error) => error.pointer).sort(), ['/colour', '/limit', '/since']);
        });

        test('test_one_dead_letter_then_its_body_is_readable', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const id = await addLetter(stack, company, 'Bridge');
            const deadLetter = expectStatus(await operatorOf(shared).get(`/v1/admin/dead-letters/${id}`), 200).body;
            assert.deepEqual(deadLetter.body, { name: 'Bridge' });
            assert.equal(deadLetter.detail, 'because');
            assert.equal(deadLetter.attempts, 3);
            assert.deepEqual(deadLetter.history, []);
            const raw = await addLetter(stack, company, '', { body: '\\xc1ff' });
            const unreadable = expectStatus(await operatorOf(shared).get(`/v1/admin/dead-letters/${raw}`), 200).body;
            assert.equal(unreadable.body, null);
            assert.equal(unreadable.body_base64, Buffer.from([0xc1, 0xff]).toString('base64'));
            expectProblem(await operatorOf(shared).get(`/v1/admin/dead-letters/${randomUUID()}`), 404, 'not-found');
        });

        test('test_answers_about_dead_letters_and_pools_then_they_are_what_the_document_says', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            const described = new Described(expectStatus(await operator.get('/openapi.json'), 200).body);
            const id = await addLetter(stack, company, 'Bridge');
            await addLetter(stack, company, '', { body: '\\xc1ff', type: 'task.create' });
            described.expect('listDeadLetters', await operator.get(`/v1/admin/dead-letters?company=${company}&limit=1`));
            described.expect('getDeadLetter', await operator.get(`/v1/admin/dead-letters/${id}`));
            described.expect('replayDeadLetter', await operator.post(`/v1/admin/dead-letters/${id}/replay`));
            described.expect('replayDeadLetters', await operator.post('/v1/admin/dead-letters/replay', { company, type: 'project.create' }));
            described.expect('dropDeadLetters', await operator.delete(`/v1/admin/dead-letters?company=${company}`));
            described.expect('listPools', await operator.get('/v1/admin/pools'));
            described.expect('getPool', await operator.get('/v1/admin/pools/projects'));
        });

        test('test_drop_and_replay_with_conditions_then_only_what_was_read_is_changed', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            const one = `/v1/admin/dead-letters/${await addLetter(stack, company, 'kept')}`;
            const { etag } = expectStatus(await operator.get(one), 200).headers;
            for (const headers of [{ 'if-none-match': '*' }, { 'if-none-match': etag }, { 'if-match': '"1"' }, { 'if-match': `W/${etag}` }]) {
                assert.equal(expectProblem(await operator.delete(one, headers), 412, 'version-conflict').headers.etag, etag);
                expectProblem(await operator.post(`${one}/replay`, undefined, headers), 412, 'version-conflict');
            }
            for (const headers of [{ 'if-none-match': '*' }, { 'if-match': etag }]) {
                expectProblem(await operator.delete(`/v1/admin/dead-letters?company=${company}`, headers), 412, 'version-conflict');
                expectProblem(await operator.post('/v1/admin/dead-letters/replay', { company }, headers), 412, 'version-conflict');
            }
            expectStatus(await operator.delete(one, { 'if-match': `"1", ${etag}` }), 204);
            expectProblem(await operator.delete(one, { 'if-match': etag }), 404, 'not-found');
        });

        test('test_drop_one_and_many_then_they_are_gone', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            const id = await addLetter(stack, company, 'one');
            expectStatus(await operator.delete(`/v1/admin/dead-letters/${id}`), 204);
            expectProblem(await operator.delete(`/v1/admin/dead-letters/${id}`), 404, 'not-found');
            for (let i = 0; i < 5; i++) await addLetter(stack, company, `n${i}`);
            const first = expectStatus(await operator.delete(`/v1/admin/dead-letters?company=${company}&limit=3`), 200).body;
            assert.deepEqual([first.count, first.more], [3, true]);
            const rest = expectStatus(await operator.delete(`/v1/admin/dead-letters?company=${company}&limit=3`), 200).body;
            assert.deepEqual([rest.count, rest.more], [2, false]);
            assert.deepEqual(await everyPage(operator, `company=${company}`), []);
        });

        test('test_drop_of_those_since_a_time_or_of_a_type_then_the_others_stay', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const company = await stack.addCompany();
            const ids = [];
            for (let i = 0; i < 6; i++)
                ids.push(await addLetter(stack, company, `n${i}`, { at: `2026-01-0${i + 1}T00:00:00Z`, type: i % 2 ? 'task.create' : 'project.create' }));
            const drop = async (query) => expectStatus(await operator.delete(`/v1/admin/dead-letters?company=${company}&${query}`), 200).body.count;
            const left = async () => (await everyPage(operator, `company=${company}`)).map(({ id }) => id);
            assert.equal(await drop('since=2026-01-05T00:00:00Z'), 2);
            assert.deepEqual(await left(), ids.slice(0, 4));
            assert.equal(await drop('type=task.create'), 2);
            assert.deepEqual(await left(), [ids[0], ids[2]]);
        });
    });
}
