// What a client is told about a command that waits for another attempt.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { expectStatus } from '../api/expect.mjs';
import { until } from '../../lib/process.mjs';

export function waiting(shared) {
    const send = async (api) => expectStatus(await api.post('/v1/projects', { name: 'Waiting' }, { prefer: 'respond-async' }), 202).headers.location;
    const stateOf = async (api, operation) => expectStatus(await api.get(operation), 200);

    describe('operations', () => {
        test('test_operation_when_its_command_is_to_be_tried_again_then_it_says_why_and_when', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const api = stack.client({ company });
            await stack.run(`CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF NEW.company_id = '${company}' THEN RAISE EXCEPTION 'clash' USING ERRCODE = 'serialization_failure'; END IF; RETURN NEW; END $$;
                CREATE TRIGGER clash BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION clash()`);
            const operation = await send(api);
            const { body, headers } = await until(async () => {
                const answer = await stateOf(api, operation);
                return answer.body.waits_for && answer;
            }, 20_000, 'the command to wait');
            assert.deepEqual([body.status, body.waits_for, body.attempts, body.last_error], ['pending', 'retry', 3, '/problems/database-conflict']);
            assert.ok(Date.parse(body.next_attempt_at) > Date.now());
            assert.ok(headers['retry-after']);
            await stack.run('DROP FUNCTION clash() CASCADE; UPDATE deferred SET due_at = now()');
            await until(async () => (await stateOf(api, operation)).body.status === 'succeeded', 20_000, 'the next attempt');
        });
    });
}
