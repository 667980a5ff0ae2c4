// Money has the decimals of the company's currency. Made from the schemas: every field of money that a client gives, in creates and updates.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { root } from '../../lib/servers.mjs';
import { readResources } from '../../lib/tables.mjs';
import { expectCreated, expectProblem, expectStatus } from './expect.mjs';
import { make } from './resources.mjs';

const all = readResources(join(root, 'schemas', 'messages'));
const isGiven = (field) => field['x-money'] && !field.readOnly;
const resources = all.filter(({ verbs, fields }) => verbs.includes('create') && Object.values(fields).some(isGiven));

// Amounts that it has, and amounts that it does not have.
const CURRENCIES = { EUR: [[7, 7.05], [7.005]], JPY: [[700000], [7.05, 7.5]], KWD: [[7.05], [7.005]] };

// A create and an update with each amount.
async function expectAmounts(api, { path, at }, body, name, field, [right, wrong]) {
    const send = async (amount) => [await api.post(path, { ...(await body()), [name]: amount }), await api.patch(at, field['x-create-only'] ? {} : { [name]: amount })];
    for (const amount of right) {
        const [created, changed] = await send(amount);
        assert.equal(expectCreated(created, path)[name], amount);
        assert.equal(expectStatus(changed, 200).body[name], field['x-create-only'] ? changed.body[name] : amount);
    }
    for (const amount of wrong)
        for (const answer of (await send(amount)).slice(0, field['x-create-only'] ? 1 : 2))
            assert.deepEqual(expectProblem(answer, 422, 'validation').body.errors.map(({ pointer }) => pointer), [`/${name}`]);
}

export function money(shared) {
    describe('money', () => {
        for (const resource of resources)
            test(`test_money_of_${resource.name}_when_it_has_more_decimals_than_the_currency_then_422_with_a_pointer`, async () => {
                const { stack } = shared, own = await stack.addCompany(), api = stack.client({ company: own, role: 'company_admin' });
                const company = Object.assign(() => api, { addUser: () => stack.addUser(own) });
                const made = await make(company, all, resource);
                const unique = Object.keys(resource.fields).find((name) => resource.fields[name]['x-unique']);
                const body = async () => (unique ? { ...made.body, [unique]: await stack.addUser(own) } : made.body);
                for (const currency of resource.name === 'project' ? ['EUR', 'JPY', 'KWD'] : ['EUR', 'JPY']) {
                    await stack.run(`UPDATE company SET currency = '${currency}' WHERE id = '${own}'`);
                    for (const [name, field] of Object.entries(resource.fields).filter(([, one]) => isGiven(one)))
                        await expectAmounts(api, made, body, name, field, CURRENCIES[currency]);
                }
            });

        test('test_money_when_the_currency_changes_then_what_was_there_stays_and_other_fields_change', async () => {
            const { stack } = shared, company = await stack.addCompany(), api = stack.client({ company, role: 'company_admin' });
            const { id } = expectCreated(await api.post('/v1/projects', { name: 'Bridge', budget: 7.05 }), '/v1/projects');
            expectStatus(await api.patch('/v1/company', { currency: 'JPY' }), 200);
            assert.equal(expectStatus(await api.patch(`/v1/projects/${id}`, { name: 'Long bridge', budget: 7.05 }), 200).body.budget, 7.05);
            expectProblem(await api.patch(`/v1/projects/${id}`, { budget: 7.06 }), 422, 'validation');
        });
    });
}
