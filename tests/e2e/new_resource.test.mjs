// A plain resource is a schema and a migration, which ./cortex new resource writes: no C, and no row elsewhere. A stranger adds three of
// them to a copy of the tree, one of the company, one of a project, and one below an entity of a project, builds it, and uses them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { until } from '../lib/process.mjs';
import { closeAll, Speaker } from './realtime/clients.mjs';
import { startStack } from '../lib/stack.mjs';
import { differences, readResources } from '../lib/tables.mjs';
import { Tree } from '../lib/tree.mjs';
import { expectCreated, expectProblem, expectStatus } from './api/expect.mjs';
import { resources } from './api/resources.mjs';

const tree = new Tree('new_resource');
await tree.newResource('vehicle', undefined, {
    wheels: { type: 'integer', minimum: 0, maximum: 100, default: 4, 'x-filter': true },
    plate: { type: ['string', 'null'], maxLength: 20, 'x-search': true, 'x-filter': true },
    base: {
        type: ['object', 'null'], additionalProperties: false,
        properties: { city: { 'x-id': 1, type: ['string', 'null'], maxLength: 50 }, gates: { 'x-id': 2, type: 'array', maxItems: 9, items: { type: 'integer', minimum: 0, maximum: 99 } } },
    },
});
await tree.newResource('punch_item', 'project', {
    due: { $ref: 'types.json#/$defs/optional-date' },
    order: { type: 'integer', minimum: 0, maximum: 9007199254740991, default: 0 },
    status: { type: 'string', enum: ['open', 'done'], default: 'open', 'x-filter': true, 'x-transitions': { open: ['done'], done: [] } },
});
await tree.newResource('punch_note', 'punch_item', { cost: { $ref: 'types.json#/$defs/optional-money' } });

// Nothing of it comes from a client, and a rule of its reads.
await tree.newResource('tick', undefined,
    { name: { type: 'string', maxLength: 20, default: 'tick', readOnly: true }, description: { type: ['string', 'null'], maxLength: 20, readOnly: true } },
    {
        required: [], 'x-rules': [{ verbs: ['create'], detail: 'The company has ticked twice.',
            broken_when: '(SELECT count(*) FROM tick AS k WHERE k.company_id = :company) >= 2' }],
    });
// Who hears of what: of a badge its holder and who made it, of a seal nobody.
await tree.newResource('badge', 'project', { holder_id: { $ref: 'types.json#/$defs/optional-uuid' } },
    { 'x-audience': { create: ['holder_id', 'sender'], update: ['holder_id'], delete: ['sender'] } });
await tree.newResource('seal', undefined, { stamp: { type: 'integer', minimum: 0, maximum: 9, default: 0 } },
    { 'x-audience': { create: 'nobody', update: 'nobody', delete: 'nobody' } });

const shared = {};
let stack;

before(async () => {
    await tree.build();
    stack = await startStack('new_resource', {
        from: tree.programs, tree: tree.folder, gateway: { CORTEX_WAIT_MS: '60000' }, pools: ['webhooks'],
    });
    shared.stack = stack;
});

after(async () => {
    closeAll();
    await stack?.stop();
    tree.remove();
});

// Runs of numbers, {"seq":9,"from":7}, as the numbers that they stand for.
const flat = (events) => events.flatMap((event) => (event.from === undefined ? [event] : Array.from({ length: event.seq - event.from + 1 }, (_, i) => ({ seq: event.from + i }))));

// Creates, reads, lists, changes and deletes one entity at this path.
async function walk(api, path, body, change) {
    const made = expectCreated(await api.post(path, body), path);
    const at = `${path}/${made.id}`;
    for (const [name, value] of Object.entries(body)) assert.deepEqual(made[name], value, name);
    assert.deepEqual(expectStatus(await api.get(at), 200).body, made);
    assert.deepEqual(expectStatus(await api.get(path), 200).body.data, [made]);
    const changed = expectStatus(await api.patch(at, change, { 'if-match': '"1"' }), 200).body;
    assert.deepEqual(changed, { ...made, ...change, version: 2, updated_at: changed.updated_at });
    expectProblem(await api.patch(at, change, { 'if-match': '"1"' }), 412, 'version-conflict');
    expectProblem(await api.post(path, { ...body, name: '' }), 422, 'validation');
    expectStatus(await api.delete(at), 204);
    expectProblem(await api.get(at), 404, 'not-found');
    return made;
}

describe('resources of a stranger', () => {
    test('test_a_resource_of_the_company_when_its_verbs_are_walked_then_each_works', async () => {
        const api = stack.client();
        await walk(api, '/v1/vehicles', { name: 'Crane', wheels: 8, plate: 'B-CB 1' }, { name: 'Tower crane' });
        expectProblem(await stack.client({ role: 'operative' }).post('/v1/vehicles', { name: 'Van' }), 403, 'forbidden');
        const van = expectCreated(await api.post('/v1/vehicles', { name: 'Van' }), '/v1/vehicles');
        assert.equal(van.wheels, 4);
        assert.deepEqual(expectStatus(await api.get('/v1/vehicles?wheels=4'), 200).body.data, [van]);
        const found = expectCreated(await api.post('/v1/vehicles', { name: 'Pump', plate: 'M-XY 77' }), '/v1/vehicles');
        assert.deepEqual(expectStatus(await api.get('/v1/vehicles?text=xy%2077'), 200).body.data, [found]);
        const stranger = stack.client({ company: await stack.addCompany() });
        expectProblem(await stranger.get(`/v1/vehicles/${van.id}`), 404, 'not-found');
    });

    test('test_a_resource_of_a_project_when_its_verbs_are_walked_then_each_works', async () => {
        const api = stack.client();
        const project = expectCreated(await api.post('/v1/projects', { name: 'Bridge' }), '/v1/projects');
        const path = `/v1/projects/${project.id}/punch-items`;
        const made = await walk(api, path, { name: 'Scratched door', due: '2026-12-24', order: 9007199254740991 }, { status: 'done' });
        assert.equal(made.project_id, project.id);
        expectProblem(await api.post(`/v1/projects/${randomUUID()}/punch-items`, { name: 'Door' }), 404, 'not-found');
        const done = expectCreated(await api.post(path, { name: 'Window', status: 'done' }), path);
        expectProblem(await api.patch(`${path}/${done.id}`, { status: 'open' }), 409, 'illegal-transition');
    });

    test('test_a_resource_below_an_entity_of_a_project_when_its_verbs_are_walked_then_the_projects_channel_hears_of_it', async () => {
        const api = stack.client({ company: await stack.addCompany() });
        const project = expectCreated(await api.post('/v1/projects', { name: 'Tunnel' }), '/v1/projects');
        const items = `/v1/projects/${project.id}/punch-items`;
        const above = expectCreated(await api.post(items, { name: 'Leak' }), items);
        const path = `/v1/punch-items/${above.id}/punch-notes`;
        const made = await walk(api, path, { name: 'Ordered a pump', cost: 19.99 }, { cost: null });
        assert.equal(made.project_id, project.id);
        assert.equal(made.punch_item_id, above.id);
        expectProblem(await api.post(`/v1/punch-items/${randomUUID()}/punch-notes`, { name: 'Nowhere' }), 404, 'not-found');
        const { data } = expectStatus(await api.get(`/v1/events?after=0&channels=project:${project.id}`), 200).body;
        assert.deepEqual(data.map((event) => [event.type, event.project]).slice(2),
            ['created', 'updated', 'deleted'].map((past) => [`punch_note.${past}`, project.id]));
    });

    test('test_an_entity_when_others_belong_to_it_then_it_is_not_deleted_before_them', async () => {
        const api = stack.client();
        const project = expectCreated(await api.post('/v1/projects', { name: 'Dam' }), '/v1/projects');
        const items = `/v1/projects/${project.id}/punch-items`;
        const above = expectCreated(await api.post(items, { name: 'Crack' }), items);
        const notes = `/v1/punch-items/${above.id}/punch-notes`;
        const below = expectCreated(await api.post(notes, { name: 'Seen' }), notes);
        const refused = expectProblem(await api.delete(`/v1/projects/${project.id}`), 409, 'conflict');
        assert.equal(refused.body.detail, 'The project has punch items. Delete them first.');
        assert.equal(expectProblem(await api.delete(`${items}/${above.id}`), 409, 'conflict').body.detail, 'The punch item has punch notes. Delete them first.');
        for (const at of [`${notes}/${below.id}`, `${items}/${above.id}`, `/v1/projects/${project.id}`]) expectStatus(await api.delete(at), 204);
    });

    test('test_an_object_when_it_is_patched_then_its_members_are_merged_as_rfc_7396_says', async () => {
        const api = stack.client();
        const made = expectCreated(await api.post('/v1/vehicles', { name: 'Grader', base: { city: 'Köln', gates: [1, 2] } }), '/v1/vehicles');
        assert.deepEqual(made.base, { city: 'Köln', gates: [1, 2] });
        for (const [patch, base] of [[{ gates: [3] }, { city: 'Köln', gates: [3] }], [{ city: null }, { gates: [3] }], [{}, { gates: [3] }], [null, null],
            [{ city: 'Bonn' }, { city: 'Bonn' }]])
            assert.deepEqual(expectStatus(await api.patch(`/v1/vehicles/${made.id}`, { base: patch }), 200).body.base, base);
        assert.deepEqual(expectStatus(await api.patch(`/v1/vehicles/${made.id}`, { wheels: 6 }), 200).body.base, { city: 'Bonn' });
        expectProblem(await api.patch(`/v1/vehicles/${made.id}`, { base: { gates: [100] } }), 422, 'validation');
        expectProblem(await api.patch(`/v1/vehicles/${made.id}`, { base: { street: 'x' } }), 422, 'validation');
    });

    test('test_many_creates_of_a_resource_when_sent_at_once_then_each_gets_its_own_answer', async () => {
        const api = stack.client({ company: await stack.addCompany() });
        const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => api.post('/v1/vehicles', { name: `Van ${i}` })));
        answers.forEach((answer, i) => assert.equal(expectCreated(answer, '/v1/vehicles').name, `Van ${i}`));
    });

    test('test_their_tables_when_compared_with_the_schemas_then_they_have_what_these_demand', async () => {
        const strangers = readResources(join(tree.folder, 'schemas', 'messages')).filter(({ name }) => /^(vehicle|punch_(item|note))$/.test(name));
        assert.equal(strangers.length, 3);
        const all = readResources(join(tree.folder, 'schemas', 'messages'));
        assert.deepEqual((await differences(stack.name, all)).filter((one) => strangers.some(({ table }) => one.startsWith(table))), []);
    });

    test('test_a_resource_without_a_field_of_a_client_when_a_rule_reads_then_it_is_made_until_the_rule_is_broken', async () => {
        const api = stack.client({ company: await stack.addCompany() });
        for (let i = 0; i < 2; i++) {
            const made = expectCreated(await api.post('/v1/ticks', {}), '/v1/ticks');
            assert.equal(expectStatus(await api.patch(`/v1/ticks/${made.id}`, {}), 200).body.name, 'tick');
        }
        assert.equal(expectProblem(await api.post('/v1/ticks', {}), 409, 'conflict').body.detail, 'The company has ticked twice.');
    });

    test('test_a_resource_for_some_users_when_it_changes_then_each_door_shows_it_to_these_alone', { timeout: 60_000 }, async () => {
        const company = await stack.addCompany();
        const [holder, other, sender] = [await stack.addUser(company, 'project_manager'), await stack.addUser(company), await stack.addUser(company)];
        const api = stack.client({ company, user: sender });
        const project = expectCreated(await api.post('/v1/projects', { name: 'Gate' }), '/v1/projects');
        const who = { sender: { user: sender }, holder: { user: holder, role: 'project_manager' }, other: { user: other } };
        const speakers = {};
        for (const [name, of] of Object.entries(who)) {
            speakers[name] = await Speaker.connected(stack, { company, ...of });
            for (const [id, channel] of [[2, `company:${company}`], [3, `project:${project.id}`]])
                assert.equal((await speakers[name].ask({ id, subscribe: { channel } })).error, undefined, `${name} ${channel}`);
        }
        const path = `/v1/projects/${project.id}/badges`;
        const badge = expectCreated(await api.post(path, { name: 'Key', holder_id: holder }), path);
        expectStatus(await api.patch(`${path}/${badge.id}`, { name: 'Card' }), 200);
        expectStatus(await api.delete(`${path}/${badge.id}`), 204);
        const sees = { sender: [true, false, true], holder: [true, true, false], other: [false, false, false] };
        for (const [name, of] of Object.entries(who)) {
            const client = stack.client({ company, ...of });
            const expected = ['created', 'updated', 'deleted'].map((past, i) => [sees[name][i] ? `badge.${past}` : undefined, i + 2]);
            const page = async (channel) => flat(expectStatus(await client.get(`/v1/events?after=1&channels=${channel}`, { accept: 'application/json' }), 200).body.data);
            const shown = (events) => events.map(({ type, seq }) => [type, seq]);
            assert.deepEqual(shown(await page(`company:${company}`)), expected, `page, ${name}`);
            assert.deepEqual(shown(await page(`project:${project.id}`)), expected.filter(([type]) => type), `page of the project, ${name}`);
            const live = { company: [], project: [] };
            await until(async () => {
                for (const { push } of speakers[name].heard.splice(0)) if (push?.pub) live[push.channel.split(':')[0]].push(push.pub.data);
                return flat(live.company).length >= 3;
            }, 20_000, `${name} to hear`);
            assert.deepEqual(shown(flat(live.company)), expected, `live, ${name}`);
            assert.deepEqual(shown(live.project), expected.filter(([type]) => type), `live, the project, ${name}`);
            const history = await speakers[name].ask({ id: 5, history: { channel: `company:${company}`, limit: 100, since: { offset: 1, epoch: '' } } });
            assert.deepEqual(shown(flat(history.history.publications.map(({ data }) => data))), expected, `history, ${name}`);
            speakers[name].disconnect();
        }
    });

    test('test_a_resource_for_nobody_when_it_changes_then_its_sender_is_answered_and_no_number_is_taken', { timeout: 60_000 }, async () => {
        const company = await stack.addCompany();
        const api = stack.client({ company }), speaker = await Speaker.connected(stack, { company });
        const key = { 'idempotency-key': randomUUID() };
        const made = expectCreated(await api.post('/v1/seals', { name: 'Wax' }, key), '/v1/seals');
        const again = await api.post('/v1/seals', { name: 'Wax' }, key);
        assert.deepEqual([again.status, again.body], [201, made]);
        const { rpc } = await speaker.ask({ id: 2, rpc: { method: `PATCH /v1/seals/${made.id}`, data: { body: { stamp: 3 } } } });
        assert.deepEqual([rpc.data.status, rpc.data.body.stamp, rpc.data.body.version], [200, 3, 2]);
        const operation = expectStatus(await api.get(`/v1/operations/${made.id}`), 200).body;
        assert.deepEqual([operation.status, operation.result], ['succeeded', made]);
        const later = await api.post('/v1/seals', { name: 'Lead' }, { prefer: 'respond-async' });
        const location = expectStatus(later, 202).headers.location;
        await until(async () => (await api.get(location)).body.status === 'succeeded', 20_000, 'the result');
        expectStatus(await api.delete(`/v1/seals/${made.id}`), 204);
        const project = expectCreated(await api.post('/v1/projects', { name: 'First event' }), '/v1/projects');
        const { data } = expectStatus(await api.get(`/v1/events?after=0&channels=company:${company}`, { accept: 'application/json' }), 200).body;
        assert.deepEqual(data.map(({ type, seq, id }) => [type, seq, id]), [['project.created', 1, project.id]]);
        const { body } = expectStatus(await api.get('/openapi.json'), 200);
        assert.equal(body.components.schemas.Event.discriminator.mapping['seal.created'], undefined);
        speaker.disconnect();
    });

    test('test_the_document_when_read_then_it_describes_them', async () => {
        const { body } = expectStatus(await stack.client().get('/openapi.json'), 200);
        assert.equal(body.paths['/v1/vehicles'].get.summary, "List the company's vehicles.");
        assert.equal(body.paths['/v1/projects/{project}/punch-items/{id}'].get.operationId, 'getPunchItem');
        assert.equal(body.paths['/v1/punch-items/{punch_item}/punch-notes'].get.operationId, 'listPunchNotes');
        assert.ok(body.components.schemas.Event.discriminator.mapping['punch_note.deleted']);
    });
});

resources(shared, tree.folder);
