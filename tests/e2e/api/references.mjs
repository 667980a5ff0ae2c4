// An entity of another company is as one that is not there. Made from the schemas: every field that refers to another entity.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { root } from '../../lib/servers.mjs';
import { readResources } from '../../lib/tables.mjs';
import { expectProblem } from './expect.mjs';
import { make } from './resources.mjs';

const all = readResources(join(root, 'schemas', 'messages'));
const referring = (resource) => Object.entries(resource.fields).filter(([, field]) => field['x-reference'] && !field.readOnly);

// A company as make() wants it.
async function newCompany(stack) {
    const id = await stack.addCompany();
    return Object.assign((role) => stack.client({ company: id, role }), { addUser: () => stack.addUser(id) });
}

const told = ({ body: { instance, ...rest } }) => rest;

export function references(shared) {
    describe('references', () => {
        for (const resource of all.filter((one) => one.verbs.includes('create') && referring(one).length > 0))
            test(`test_references_of_${resource.name}_when_they_are_to_another_companys_entity_then_422_as_if_it_were_not_there`, async () => {
                const [own, other] = [await newCompany(shared.stack), await newCompany(shared.stack)], api = own('company_admin');
                const { path, at, body } = await make(own, all, resource);
                for (const [name, field] of referring(resource)) {
                    const { to } = field['x-reference'];
                    const theirs = to === 'user' ? await other.addUser() : (await make(other, all, all.find((one) => one.name === to))).made.id;
                    const send = async (id) => [await api.post(path, { ...body, [name]: id }),
                        ...(field['x-create-only'] ? [] : [await api.patch(at, { [name]: id })])];
                    const answers = await send(theirs), none = await send(randomUUID());
                    for (const answer of answers)
                        assert.deepEqual(expectProblem(answer, 422, 'validation').body.errors.map(({ pointer }) => pointer), [`/${name}`]);
                    assert.deepEqual(answers.map(told), none.map(told));
                }
            });
    });
}
