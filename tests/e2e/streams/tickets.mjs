import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { EventSource } from 'eventsource';

import { send } from '../../lib/http.mjs';
import { expectProblem, expectStatus, newProject } from '../api/expect.mjs';

export function tickets(shared) {
    const aCompany = async () => {
        const company = await shared.stack.addCompany('Ticketed');
        return { company, api: shared.stack.client({ company }) };
    };
    const ticketOf = async (api, body) => {
        const answer = expectStatus(await api.post('/v1/tickets', body), 201);
        assert.match(answer.headers['cache-control'], /no-store/);
        const left = new Date(answer.body.expires_at) - Date.now();
        assert.ok(left > 30_000 && left <= 61_000, `${left} ms`);
        return answer.body.ticket;
    };
    const open = (url, ticket, more = '') => send(`${url}/v1/events?ticket=${ticket}${more}`, { headers: { accept: 'application/json' } });

    describe('tickets', () => {
        test('test_ticket_then_an_event_source_without_headers_follows_its_channels', async () => {
            const { company, api } = await aCompany();
            const ticket = await ticketOf(api, { channels: [`company:${company}`] });
            const source = new EventSource(`${shared.stack.url}/v1/events?ticket=${ticket}`);
            await new Promise((resolve, reject) => {
                source.addEventListener('ready', resolve);
                source.addEventListener('error', reject);
            });
            const heard = new Promise((resolve) => source.addEventListener('project.created', resolve));
            const project = await newProject(api);
            assert.equal(JSON.parse((await heard).data).id, project.id);
            source.close();
        });

        test('test_ticket_used_again_then_401_whichever_process_is_asked', async () => {
            const { api } = await aCompany();
            const other = await shared.stack.addGateway();
            for (const [first, second] of [[shared.stack.url, shared.stack.url], [other.url, shared.stack.url], [shared.stack.url, other.url], [other.url, other.url]]) {
                const ticket = await ticketOf(api, {});
                expectStatus(await open(first, ticket), 200);
                const again = expectProblem(await open(second, ticket), 401, 'unauthenticated');
                assert.match(again.headers['www-authenticate'], /invalid_token/);
            }
            const ticket = await ticketOf(api, undefined);
            const answers = await Promise.all([other.url, shared.stack.url, other.url, shared.stack.url].map((url) => open(url, ticket)));
            assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401]);
            await other.program.stop();
        });

        test('test_ticket_for_some_channels_then_for_no_others', async () => {
            const { company, api } = await aCompany();
            const projects = [await newProject(api), await newProject(api)].map(({ id }) => `project:${id}`);
            const body = { channels: [projects[0]] };
            expectProblem(await open(shared.stack.url, await ticketOf(api, body), `&channels=company:${company}`), 403, 'forbidden');
            expectProblem(await open(shared.stack.url, await ticketOf(api, body), `&channels=${projects[1]}`), 403, 'forbidden');
            const page = expectStatus(await open(shared.stack.url, await ticketOf(api, body), `&after=0&channels=${projects[0]}`), 200);
            assert.deepEqual(page.body.data.map(({ seq }) => seq), [1]);
            assert.equal(expectStatus(await open(shared.stack.url, await ticketOf(api, body)), 200).body.data.length, 1);
            expectStatus(await open(shared.stack.url, await ticketOf(api, {}), `&channels=company:${company}`), 200);
            expectProblem(await open(shared.stack.url, await ticketOf(api, {}), `&channels=${projects[0]}`), 403, 'forbidden');
        });

        test('test_ticket_that_makes_no_sense_then_refused', async () => {
            const { api } = await aCompany();
            for (const channels of [[], ['x'], ['operation:1'], [7], 'company:x'])
                expectProblem(await api.post('/v1/tickets', { channels }), 422, 'validation');
            expectProblem(await send(`${shared.stack.url}/v1/tickets`, { method: 'POST' }), 401, 'unauthenticated');
            const good = await ticketOf(api, {});
            const forged = `${good[0] === '0' ? '1' : '0'}${good.slice(1)}`;
            for (const ticket of ['', 'x', forged, good.slice(1), `${good}0`, good.replace(/.{12}$/, '000000000000')])
                expectProblem(await open(shared.stack.url, ticket), 401, 'unauthenticated');
            expectStatus(await open(shared.stack.url, good), 200);
            expectProblem(await send(`${shared.stack.url}/v1/projects?ticket=${await ticketOf(api, {})}`), 401, 'unauthenticated');
        });

        test('test_tickets_that_nobody_uses_then_a_user_may_hold_only_so_many', async () => {
            const { company } = await aCompany();
            const api = shared.stack.client({ company, user: await shared.stack.addUser(company) });
            let refused;
            for (let i = 0; i < 70 && !refused; i++) {
                const answer = await api.post('/v1/tickets', {});
                if (answer.status !== 201) refused = answer;
            }
            expectProblem(refused, 429, 'too-many-requests');
        });
    });
}
