import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { newProject } from '../api/expect.mjs';
import { breakOff, newCentrifuge, once, Speaker } from './clients.mjs';

const codeOf = (promise) => promise.then(() => 0, (error) => error.code);

export function commands(shared) {
    const byHand = shared.isRepeated ? () => {} : test; // it says the same whatever client is in use
    describe('commands of the published client', () => {
        let company, channel, client, api, projects;

        before(async () => {
            company = await shared.stack.addCompany('Commands');
            channel = `company:${company}`;
            api = shared.stack.client({ company });
            projects = [];
            for (let i = 0; i < 5; i++) projects.push(await newProject(api));
            client = newCentrifuge(shared.stack, { token: shared.stack.token({ company }) });
            client.connect();
            await client.ready(5000);
        });

        const subscribed = async (name) => {
            const subscription = client.getSubscription(name) ?? client.newSubscription(name);
            subscription.subscribe();
            await subscription.ready(5000);
            return subscription;
        };

        test('test_publish_when_a_client_tries_then_103', async () => {
            assert.equal(await codeOf(client.publish(channel, {})), 103);
        });

        test('test_history_when_subscribed_then_pages_both_ways_from_any_position', async () => {
            const subscription = await subscribed(channel);
            const top = await subscription.history({ limit: 0 });
            assert.deepEqual([top.offset, top.publications], [5, []]);
            const offsets = async (options) => (await subscription.history(options)).publications.map(({ offset }) => offset);
            assert.deepEqual(await offsets({ limit: -1 }), [1, 2, 3, 4, 5]);
            assert.deepEqual(await offsets({ limit: 2 }), [1, 2]);
            assert.deepEqual(await offsets({ limit: 2, since: { offset: 2, epoch: top.epoch } }), [3, 4]);
            assert.deepEqual(await offsets({ limit: 2, reverse: true }), [5, 4]);
            assert.deepEqual(await offsets({ limit: 9, reverse: true, since: { offset: 3, epoch: top.epoch } }), [2, 1]);
            assert.equal(await codeOf(subscription.history({ limit: 1, since: { offset: 2, epoch: 'other' } })), 112);
            const { publications: [{ data }] } = await subscription.history({ limit: 1 });
            assert.equal(data.data.id, projects[0].id);
        });

        test('test_history_when_of_a_project_then_its_own_events', async () => {
            const subscription = await subscribed(`project:${projects[2].id}`);
            const { publications } = await subscription.history({ limit: 10 });
            assert.deepEqual(publications.map(({ offset, data }) => [offset, data.id]), [[3, projects[2].id]]);
        });

        byHand('test_rpc_when_its_body_cannot_be_read_then_it_alone_is_refused_and_the_socket_stays', async () => {
            const speaker = await Speaker.connected(shared.stack, { company });
            const bodies = ['"\\ud800"', '12345678901234567890', `${'['.repeat(40)}${']'.repeat(40)}`, '{"name":"x","name":"y"}'];
            for (const [i, body] of bodies.entries()) {
                const ids = [100 + 2 * i, 101 + 2 * i];
                speaker.say(`{"id":${ids[0]},"rpc":{"method":"POST /v1/projects","data":{"body":${body}}}}\n{"id":${ids[1]},"rpc":{"method":"GET /v1/projects"}}`);
                assert.equal((await speaker.next()).error.code, 107, body);
                const answer = await speaker.next();
                assert.deepEqual([answer.id, answer.rpc.data.status], [ids[1], 200]);
            }
            await speaker.close();
        });

        test('test_history_when_not_subscribed_then_103', async () => {
            assert.equal(await codeOf(client.history(`project:${projects[0].id}`, { limit: 1 })), 103);
        });

        test('test_rpc_when_it_creates_then_as_over_http', async () => {
            const { data } = await client.rpc('POST /v1/projects', { body: { name: 'Over the socket' } });
            assert.equal(data.status, 201);
            assert.equal(data.headers.location, `/v1/projects/${data.body.id}`);
            assert.equal(data.headers.etag, '"1"');
            const overHttp = await api.get(`/v1/projects/${data.body.id}`);
            assert.deepEqual(overHttp.body, data.body);
            const { data: read } = await client.rpc(`GET /v1/projects/${data.body.id}`, null);
            assert.deepEqual([read.status, read.body], [200, data.body]);
            const again = await client.rpc(`GET /v1/projects/${data.body.id}`, { headers: { 'if-none-match': read.headers.etag } });
            assert.equal(again.data.status, 304);
        });

        test('test_rpc_when_the_key_is_used_again_then_the_first_result', async () => {
            const request = { body: { name: 'Once' }, headers: { 'idempotency-key': randomUUID() } };
            const first = await client.rpc('POST /v1/projects', request);
            const second = await client.rpc('POST /v1/projects', request);
            assert.deepEqual(second.data.body, first.data.body);
            const other = await client.rpc('POST /v1/projects', { ...request, body: { name: 'Another' } });
            assert.equal(other.data.status, 422);
        });

        test('test_rpc_when_it_changes_lists_and_deletes_then_as_over_http', async () => {
            const path = `/v1/projects/${projects[4].id}`;
            const changed = await client.rpc(`PATCH ${path}`, { body: { name: 'Changed' }, headers: { 'If-Match': '"1"' } });
            assert.deepEqual([changed.data.status, changed.data.body.version], [200, 2]);
            assert.equal((await client.rpc(`PATCH ${path}`, { body: { name: 'Late' }, headers: { 'If-Match': '"1"' } })).data.status, 412);
            const list = await client.rpc('GET /v1/projects?limit=2', {});
            const head = (await client.rpc('HEAD /v1/projects?limit=2', {})).data;
            assert.deepEqual([head.status, head.headers.etag, head.body], [200, list.data.headers.etag, undefined]);
            assert.equal(list.data.body.data.length, 2);
            assert.match(list.data.headers.link, /rel="next"/);
            assert.equal((await client.rpc(`DELETE ${path}`, null)).data.status, 204);
            assert.equal((await client.rpc(`GET ${path}`, null)).data.status, 404);
        });

        test('test_rpc_when_refused_then_the_problem_document', async () => {
            const invalid = await client.rpc('POST /v1/projects', { body: { name: '', extra: 1 } });
            assert.equal(invalid.data.status, 422);
            assert.deepEqual(invalid.data.body.errors.map(({ pointer }) => pointer).sort(), ['/extra', '/name']);
            const operative = newCentrifuge(shared.stack, { token: shared.stack.token({ company, role: 'operative' }) });
            operative.connect();
            const forbidden = await operative.rpc('POST /v1/projects', { body: { name: 'x' } });
            assert.equal(forbidden.data.status, 403);
            assert.equal((await operative.rpc('GET /v1/admin/dead-letters', null)).data.status, 403);
            operative.disconnect();
            for (const [method, status] of [['GET /nowhere', 404], ['PUT /v1/projects', 405], ['FLY /v1/projects', 400], ['GET /healthz', 404], ['GET /connection/websocket', 404]])
                assert.equal((await client.rpc(method, null)).data.status, status, method);
            const stream = { headers: { accept: 'text/event-stream' } };
            assert.equal((await client.rpc(`GET /v1/events?channels=company:${company}`, stream)).data.status, 406);
            assert.equal(await codeOf(client.rpc('project.create', {})), 104);
        });

        test('test_rpc_when_many_at_once_then_each_has_its_own_answer', async () => {
            const names = Array.from({ length: 12 }, (_, i) => `Parallel ${i}`);
            const answers = await Promise.all(names.map((name) => client.rpc('POST /v1/projects', { body: { name } })));
            assert.deepEqual(answers.map(({ data }) => data.body.name), names);
        });

        byHand('test_rpc_when_the_client_leaves_meanwhile_then_the_command_is_done_nevertheless', async () => {
            const speaker = await Speaker.connected(shared.stack, { company });
            const name = `Left behind ${randomUUID()}`;
            speaker.say({ id: 2, rpc: { method: 'POST /v1/projects', data: { body: { name } } } });
            await speaker.ask({ id: 3, ping: {} });
            await speaker.close();
            const isThere = async () => (await shared.stack.query(`SELECT 1 FROM project WHERE name = '${name}'`)).length > 0;
            while (!(await isThere())) await delay(20);
        });

        byHand('test_commands_when_far_too_many_then_told_and_closed', async () => {
            const speaker = await Speaker.connected(shared.stack, { company });
            speaker.say(...Array.from({ length: 1000 }, (_, i) => ({ id: i + 2, ping: {} })).slice(0, 200));
            const first = await speaker.next();
            assert.equal(first.error.code, 108);
            for (let i = 0; i < 20; i++) speaker.say(...Array.from({ length: 150 }, (_, j) => ({ id: 1000 + j, ping: {} })));
            assert.equal((await speaker.closed).code, 3013);
            assert.ok(speaker.heard.some(({ error }) => error?.code === 111));
        });

        test('test_token_when_it_names_channels_then_subscribed_by_the_answer_to_connect', async () => {
            const names = [channel, `project:${projects[0].id}`];
            const token = shared.stack.token({ company, channels: [names[0], 'news'], subs: { [names[1]]: {} } });
            const named = newCentrifuge(shared.stack, { token });
            const seen = [];
            named.on('subscribed', ({ channel: name, recovered }) => seen.push([name, recovered]));
            named.connect();
            await named.ready(5000);
            assert.deepEqual(seen.map(([name]) => name).sort(), [...names].sort());
            const publication = once(named, 'publication');
            const project = await newProject(api);
            assert.equal((await publication).data.id, project.id);
            named.disconnect();
        });

        test('test_token_when_the_connection_breaks_then_its_channels_recover', async () => {
            const token = shared.stack.token({ company, channels: [channel] });
            const named = newCentrifuge(shared.stack, { token, minReconnectDelay: 300, maxReconnectDelay: 400 });
            const ids = [];
            named.on('publication', ({ data }) => ids.push(data.id));
            named.connect();
            await named.ready(5000);
            const recovered = new Promise((resolve) => named.on('subscribed', ({ wasRecovering, recovered: all }) => wasRecovering && resolve(all)));
            breakOff(named);
            const missed = [await newProject(api), await newProject(api)].map(({ id }) => id);
            assert.equal(await recovered, true);
            while (ids.length < missed.length) await once(named, 'publication');
            assert.deepEqual(ids, missed);
            named.disconnect();
        });
    });
}
