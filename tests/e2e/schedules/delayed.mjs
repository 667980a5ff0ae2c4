// Commands that are sent for a later time (Cortex-Run-At).
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { expectProblem, expectStatus, newProject, pointersOf, UUID } from '../api/expect.mjs';
import { sleep, until } from '../../lib/process.mjs';

export const inSeconds = (s) => new Date(Date.now() + s * 1000).toISOString();
export const operationOf = (answer) => answer.headers.location.match(/^\/v1\/operations\/(.*)$/)?.[1];

export async function waits({ stack }, id) {
    return until(async () => (await stack.query(`SELECT reason FROM deferred WHERE command_id = '${id}'`))[0]?.reason, 15_000,
        `${id} to wait`);
}

export async function succeeded(api, id) {
    return until(async () => {
        const { body } = await api.get(`/v1/operations/${id}`);
        return body.status === 'succeeded' && body;
    }, 30_000, `${id} to succeed`);
}

export function delayed(shared) {
    describe('Cortex-Run-At', () => {
        test('test_write_with_a_later_time_then_202_and_it_is_done_then_and_not_before', async () => {
            const api = shared.stack.client({ company: await shared.stack.addCompany() });
            const runAt = inSeconds(3);
            const answer = expectStatus(await api.post('/v1/projects', { name: 'Later' }, { 'cortex-run-at': runAt }), 202);
            const id = operationOf(answer);
            assert.match(id, UUID);
            assert.equal(await waits(shared, id), 'schedule');
            const { result } = await succeeded(api, id);
            assert.equal(result.name, 'Later');
            assert.ok(result.created_at >= runAt, `${result.created_at} is not before ${runAt}`);
        });

        test('test_write_with_a_later_time_then_it_does_not_hold_up_later_commands_of_its_company', async () => {
            const api = shared.stack.client({ company: await shared.stack.addCompany() });
            const project = await newProject(api, { name: 'First' });
            const path = `/v1/projects/${project.id}`;
            const id = operationOf(expectStatus(await api.patch(path, { name: 'Late' }, { 'cortex-run-at': inSeconds(3600) }), 202));
            await waits(shared, id);
            assert.equal(expectStatus(await api.patch(path, { name: 'Early' }), 200).body.version, 2);
        });

        test('test_update_and_delete_with_a_time_that_has_passed_then_202_and_they_are_done_at_once', async () => {
            const api = shared.stack.client();
            const path = `/v1/projects/${(await newProject(api)).id}`;
            for (const past of ['1969-12-31T23:59:59Z', '2001-02-03T04:05:06.789+02:00']) {
                const answer = expectStatus(await api.patch(path, { name: past }, { 'cortex-run-at': past }), 202);
                assert.equal((await succeeded(api, operationOf(answer))).result.name, past);
            }
            const answer = expectStatus(await api.delete(path, { 'cortex-run-at': '2001-02-03T04:05:06Z' }), 202);
            await succeeded(api, operationOf(answer));
            expectProblem(await api.get(path), 404, 'not-found');
        });

        test('test_write_again_with_the_same_key_then_one_command_and_another_time_is_another_request', async () => {
            const company = await shared.stack.addCompany();
            const api = shared.stack.client({ company });
            const headers = { 'idempotency-key': randomUUID(), 'cortex-run-at': inSeconds(3600) };
            const first = operationOf(expectStatus(await api.post('/v1/projects', { name: 'Once' }, headers), 202));
            await waits(shared, first);
            const same = { ...headers, 'cortex-run-at': headers['cortex-run-at'].replace('Z', '+00:00') };
            assert.equal(operationOf(expectStatus(await api.post('/v1/projects', { name: 'Once' }, same), 202)), first);
            expectProblem(await api.post('/v1/projects', { name: 'Once' }, { 'idempotency-key': headers['idempotency-key'] }), 422,
                'idempotency-mismatch');
            const [{ count }] = await shared.stack.query(`SELECT count(*) FROM deferred WHERE company_id = '${company}'`);
            assert.equal(count, 1);
        });

        test('test_operation_of_a_later_command_then_scheduled_with_its_time_until_then', async () => {
            const api = shared.stack.client({ company: await shared.stack.addCompany() });
            const runAt = inSeconds(3600);
            const { headers } = expectStatus(await api.post('/v1/projects', { name: 'Later' }, { 'cortex-run-at': runAt }), 202);
            const operation = await until(async () => {
                const { body } = await api.get(headers.location);
                return body.status === 'scheduled' && body;
            }, 15_000, 'it to be scheduled');
            assert.equal(Date.parse(operation.run_at), Date.parse(runAt));
            assert.equal(operation.result, undefined);
        });

        test('test_cancel_before_it_has_begun_then_it_never_runs_and_says_so', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const api = stack.client({ company });
            const write = { 'idempotency-key': randomUUID(), 'cortex-run-at': inSeconds(2) };
            const id = operationOf(expectStatus(await api.post('/v1/projects', { name: 'Never' }, write), 202));
            await waits(shared, id);
            const answer = expectStatus(await api.delete(`/v1/operations/${id}`), 202);
            assert.equal(answer.body.status, 'cancelled');
            const operation = expectStatus(await api.get(`/v1/operations/${id}`), 200).body;
            assert.equal(operation.status, 'cancelled');
            assert.equal(operation.problem.type, '/problems/cancelled');
            expectProblem(await api.delete(`/v1/operations/${id}`), 409, 'conflict');
            // A cancel is for its sender alone (x-audience): it leaves neither an event nor a gap, and its result is there once.
            const [kept] = await stack.query(`SELECT command_id, actor FROM inbox WHERE company_id = '${company}' AND type = 'job.cancelling'`);
            assert.equal(expectStatus(await api.get(`/v1/operations/${kept.command_id}`), 200).body.result.cancel_asked, true);
            assert.equal((await api.get(`/v1/operations/${kept.command_id}`)).body.status, 'succeeded');
            const another = stack.client({ company, role: 'project_manager', user: await stack.addUser(company, 'project_manager') });
            assert.equal((await another.get(`/v1/operations/${kept.command_id}`)).body.status, 'pending', 'as if it were not there');
            // One that is due later shows that its time has passed.
            await succeeded(api, operationOf(expectStatus(await api.post('/v1/projects', { name: 'After' }, { 'cortex-run-at': inSeconds(3) }), 202)));
            const { data } = expectStatus(await api.get('/v1/projects'), 200).body;
            assert.deepEqual(data.map((project) => project.name), ['After']);
            const events = expectStatus(await api.get(`/v1/events?after=0&channels=company:${company}`, { accept: 'application/json' }), 200).body.data;
            assert.deepEqual(events.map(({ type, seq }) => [type, seq]), [['project.created', 1]]);
            assert.equal(operationOf(expectStatus(await api.post('/v1/projects', { name: 'Never' }, write), 202)), id);
            assert.equal((await api.get(`/v1/operations/${id}`)).body.status, 'cancelled');
        });

        test('test_cancel_at_the_moment_at_which_it_is_due_then_it_has_run_or_never_will', async (t) => {
            const COUNT = 60;
            const { stack } = shared;
            const api = stack.client({ company: await stack.addCompany() });
            const due = Date.now() + 3000;
            const headers = { 'cortex-run-at': new Date(due).toISOString() };
            const ids = [];
            for (let i = 0; i < COUNT; i++) ids.push(operationOf(expectStatus(await api.post('/v1/projects', { name: `${i}` }, headers), 202)));
            await waits(shared, ids.at(-1));
            const answers = await Promise.all(ids.map(async (id, i) => {
                await sleep(due - Date.now() + i * 12); // workers look for what is due every 500 ms
                return api.delete(`/v1/operations/${id}`);
            }));
            let cancelled = 0;
            for (const [i, id] of ids.entries()) {
                const operation = await until(async () => {
                    const { body } = await api.get(`/v1/operations/${id}`);
                    return ['succeeded', 'cancelled'].includes(body.status) && body;
                }, 20_000, `${id} to end`);
                assert.equal(operation.status === 'cancelled', answers[i].status === 202, `${answers[i].status} and ${operation.status}`);
                assert.equal((await api.get(`/v1/projects/${id}`)).status, operation.status === 'cancelled' ? 404 : 200);
                cancelled += operation.status === 'cancelled';
            }
            t.diagnostic(`${cancelled} of ${COUNT} cancelled in time`);
        });

        test('test_cancel_of_what_has_ended_or_is_anothers_then_refused', async () => {
            const { stack } = shared;
            const api = stack.client({ company: await stack.addCompany() });
            const done = await newProject(api);
            expectProblem(await api.delete(`/v1/operations/${done.id}`), 409, 'conflict');
            expectProblem(await api.delete(`/v1/operations/${randomUUID()}`), 404, 'not-found');
            const later = operationOf(expectStatus(await api.post('/v1/projects', { name: 'Mine' }, { 'cortex-run-at': inSeconds(3600) }), 202));
            await waits(shared, later);
            const other = stack.client({ company: await stack.addCompany() });
            expectProblem(await other.delete(`/v1/operations/${later}`), 404, 'not-found');
            assert.equal(expectStatus(await other.get(`/v1/operations/${later}`), 200).body.status, 'pending');
            assert.equal(await waits(shared, later), 'schedule');
        });

        test('test_the_same_key_with_another_body_while_it_waits_then_422', async () => {
            const api = shared.stack.client({ company: await shared.stack.addCompany() });
            const headers = { 'idempotency-key': randomUUID(), 'cortex-run-at': inSeconds(3600) };
            await waits(shared, operationOf(expectStatus(await api.post('/v1/projects', { name: 'One' }, headers), 202)));
            expectProblem(await api.post('/v1/projects', { name: 'Two' }, headers), 422, 'idempotency-mismatch');
        });

        test('test_operation_that_failed_and_waits_for_another_try_then_attempts_and_when', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const api = stack.client({ company });
            await stack.run(`CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.company_id = '${company}' THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$;
                CREATE TRIGGER trap BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION trap()`);
            const { headers } = expectStatus(await api.post('/v1/projects', { name: 'Again' }, { prefer: 'respond-async' }), 202);
            const operation = await until(async () => {
                const { body } = await api.get(headers.location);
                return body.next_attempt_at && body;
            }, 30_000, 'it to wait for another try');
            await stack.run('DROP FUNCTION trap() CASCADE');
            assert.equal(operation.status, 'pending');
            assert.ok(operation.attempts >= 3);
            assert.ok(Date.parse(operation.next_attempt_at) > 0);
            await succeeded(api, operationOf({ headers }));
        });

        test('test_write_with_what_is_no_time_or_too_far_then_400_with_a_pointer', async () => {
            const api = shared.stack.client();
            for (const bad of ['', 'soon', '2026-13-01T00:00:00Z', '2030-01-01', '2030-01-01T00:00:00', inSeconds(367 * 86400)]) {
                const answer = expectProblem(await api.post('/v1/projects', { name: 'x' }, { 'cortex-run-at': bad }), 400, 'bad-request');
                assert.deepEqual(pointersOf(answer), ['Cortex-Run-At'], bad);
            }
            const twice = { 'cortex-run-at': [inSeconds(1), inSeconds(2)] };
            expectProblem(await api.post('/v1/projects', { name: 'x' }, twice), 400, 'bad-request');
        });
    });
}
