// One walk over all resources and their verbs, made from the schemas: a resource that is added is walked, too.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { root } from '../../lib/servers.mjs';
import { canBeMade, readResources, sampleOfMany, shownFields, typeOf } from '../../lib/tables.mjs';
import { expectCreated, expectProblem, expectStatus } from './expect.mjs';

const METHODS = { create: 'POST', get: 'GET', list: 'GET', update: 'PATCH', delete: 'DELETE' };
const ROLES = ['super_admin', 'company_admin', 'project_manager', 'supervisor', 'operative', 'developer'];

// What rules demand beyond the schema.
const DEMANDED = { 'export.resource': 'project' };

const patient = { prefer: 'wait=60' };

// A value that the schema allows.
function sampleOf(field) {
    const samples = { uuid: randomUUID(), date: '2026-12-24', 'date-time': '2026-12-24T18:00:00.000000Z', email: 'site@test.example', uri: 'https://test.example/' };
    const type = typeOf(field);
    if (field.enum) return field.enum[0];
    if (field.format) return samples[field.format];
    if (['array', 'object'].includes(type)) return sampleOfMany(field);
    if (type === 'string') return 'x'.repeat(Math.max(field.minLength ?? 0, 1));
    return type === 'boolean' ? true : field.minimum;
}

const mayDo = ({ rights }, verb) => ROLES.find((role) => rights[role]?.[verb] === 'any');

// The required fields. What they refer to is made.
async function bodyOf(company, all, { name: resource, required, fields }) {
    const body = {};
    for (const name of required) {
        const to = fields[name]['x-reference']?.to, demanded = DEMANDED[`${resource}.${name}`];
        if (demanded) body[name] = demanded;
        else if (to === 'user') body[name] = await company.addUser();
        else if (to) body[name] = (await make(company, all, all.find((other) => other.name === to))).made.id;
        else body[name] = sampleOf(fields[name]);
    }
    return body;
}

// The path of its list, below an entity that is made for it.
async function collectionOf(company, all, resource) {
    const parent = all.find(({ name }) => name === resource.parent);
    const above = parent && await make(company, all, parent);
    const begin = parent?.parent ? `/v1/${parent.collection}` : above?.path;
    return parent ? `${begin}/${above.made.id}/${resource.collection}` : resource.path ?? `/v1/${resource.collection}`;
}

// Makes an entity, and those that it belongs to. Returns it, the path of its collection, and what was sent.
export async function make(company, all, resource) {
    const path = await collectionOf(company, all, resource);
    const body = await bodyOf(company, all, resource);
    const made = expectCreated(await company(mayDo(resource, 'create')).post(path, body, patient), path);
    return { path, body, made, at: `${path}/${made.id}` };
}

// What has begun, such as an export, is deleted when it has ended.
async function remove(api, at) {
    for (let tries = 0; ; tries++) {
        const answer = await api.delete(at, patient);
        if (answer.status !== 409 || tries === 300) return answer;
        await setTimeout(100);
    }
}

// What a company has one of: its path names no entity.
async function walkSingle(company, own, resource) {
    const at = `/v1/${resource.collection}`, api = company(mayDo(resource, 'update'));
    const read = expectStatus(await company('operative').get(at), 200).body;
    assert.equal(read.id, own);
    assert.deepEqual(Object.keys(read).sort(), shownFields(resource).sort());
    const changed = expectStatus(await api.patch(at, {}, { ...patient, 'if-match': `"${read.version}"` }), 200).body;
    assert.deepEqual(changed, { ...read, version: read.version + 1, updated_at: changed.updated_at });
    expectProblem(await api.patch(at, {}, { ...patient, 'if-match': `"${read.version}"` }), 412, 'version-conflict');
    expectProblem(await company('operative').patch(at, {}), 403, 'forbidden');
    for (const method of ['POST', 'DELETE']) expectProblem(await api.call(method, at, { body: {} }), 405, 'method-not-allowed');
}

// What follows from something else is only looked at, and there is nothing yet.
async function walkUnmade(company, all, resource) {
    if (resource.verbs.length === 0) return;
    const path = await collectionOf(company, all, resource), at = `${path}/${randomUUID()}`, has = (verb) => resource.verbs.includes(verb);
    const reader = company(mayDo(resource, 'read')), outside = ROLES.find((role) => !resource.rights[role]?.read);
    if (has('list')) assert.deepEqual(expectStatus(await reader.get(path), 200).body.data, []);
    if (has('list') && outside) expectProblem(await company(outside).get(path), 403, 'forbidden');
    if (has('get')) expectProblem(await reader.get(at), 404, 'not-found');
    for (const [verb, method] of Object.entries(METHODS).filter(([verb]) => !has(verb)))
        expectProblem(await company('super_admin').call(method, verb === 'create' || verb === 'list' ? path : at, { body: {} }), 405, 'method-not-allowed');
}

async function walk(stack, all, resource) {
    const own = await stack.addCompany();
    const company = (role) => stack.client({ company: own, role });
    company.addUser = () => stack.addUser(own);
    const { verbs } = resource, reader = mayDo(resource, 'read'), has = (verb) => verbs.includes(verb);
    if (resource.single) return walkSingle(company, own, resource);
    if (!canBeMade(resource)) return walkUnmade(company, all, resource);
    const { path, body, made, at } = await make(company, all, resource);
    const stranger = stack.client({ company: await stack.addCompany() });
    const outside = ROLES.find((role) => !resource.rights[role]?.create);
    for (const [name, value] of Object.entries(body)) assert.deepEqual(made[name], value, name);
    assert.deepEqual(Object.keys(made).sort(), shownFields(resource).sort());
    if (outside) expectProblem(await company(outside).post(path, body), 403, 'forbidden');
    for (const missing of resource.required) {
        const { [missing]: _, ...rest } = body;
        expectProblem(await company(mayDo(resource, 'create')).post(path, rest), 422, 'validation');
    }
    if (has('get')) {
        const read = expectStatus(await company(reader).get(at), 200);
        assert.equal(read.body.id, made.id);
        expectProblem(await stranger.get(at), 404, 'not-found');
    }
    if (has('list')) {
        assert.deepEqual(expectStatus(await company(reader).get(path), 200).body.data.map(({ id }) => id), [made.id]);
        for (const [name, field] of Object.entries(resource.fields).filter(([, { 'x-filter': filter }]) => filter))
            expectStatus(await company(reader).get(`${path}?${name}=${encodeURIComponent(sampleOf(field))}`), 200);
    }
    if (has('update')) {
        const api = company(mayDo(resource, 'update'));
        const changed = expectStatus(await api.patch(at, {}, { ...patient, 'if-match': '"1"' }), 200).body;
        assert.deepEqual(changed, { ...made, version: 2, updated_at: changed.updated_at });
        expectProblem(await api.patch(at, {}, { ...patient, 'if-match': '"1"' }), 412, 'version-conflict');
        expectProblem(await stranger.patch(at, {}, patient), 404, 'not-found');
    }
    if (has('delete')) {
        expectProblem(await stranger.delete(at, patient), 404, 'not-found');
        expectStatus(await remove(company(mayDo(resource, 'delete')), at), 204);
        expectProblem(await company(reader).get(at), 404, 'not-found');
    }
    for (const [verb, method] of Object.entries(METHODS).filter(([verb]) => !has(verb)))
        expectProblem(await company('super_admin').call(method, verb === 'create' || verb === 'list' ? path : at, { body: {} }), 405, 'method-not-allowed');
}

export function resources(shared, tree = root) {
    const all = readResources(join(tree, 'schemas', 'messages'));
    describe('every resource', () => {
        for (const resource of all)
            test(`test_verbs_of_${resource.name}_when_walked_then_each_does_what_the_schema_says_and_no_other_is_there`,
                () => walk(shared.stack, all, resource));
    });
}
