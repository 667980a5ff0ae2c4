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

const shared = {};
let stack;

before(async () => {
    await tree.build();
    stack = await startStack('new_resource', {
        from: tree.programs, tree: tree.folder, gateway: { CORTEX_WAIT_MS: '60000' },
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

    test('test_the_document_when_read_then_it_describes_them', async () => {
        const { body } = expectStatus(await stack.client().get('/openapi.json'), 200);
        assert.equal(body.paths['/v1/vehicles'].get.summary, "List the company's vehicles.");
        assert.equal(body.paths['/v1/projects/{project}/punch-items/{id}'].get.operationId, 'getPunchItem');
        assert.equal(body.paths['/v1/punch-items/{punch_item}/punch-notes'].get.operationId, 'listPunchNotes');
        assert.ok(body.components.schemas.Event.discriminator.mapping['punch_note.deleted']);
    });
});

resources(shared, tree.folder);
