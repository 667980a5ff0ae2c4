// Money has the decimals of the company's currency. Made from the schemas: every field of money that a client gives, in creates and updates.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

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

        test('test_computed_amounts_when_the_currency_has_no_decimals_then_they_have_none_and_the_sums_are_right', async () => {
            const { stack } = shared, company = await stack.addCompany(), api = stack.client({ company, role: 'company_admin' });
            const add = async (path, body) => expectCreated(await api.post(path, body), path);
            const client = (await add('/v1/clients', { name: 'Harbour' })).id;
            const project = (await add('/v1/projects', { name: 'Bridge' })).id;
            // Amounts of 3.335 pieces at 101, and 7.5 % of that: 336.835 and, of 336.84 or 337, 25.263 or 25.275.
            const bill = async (path, items, body) => {
                const { id } = await add(path, { ...body, tax_rate: 7.5 });
                const item = await add(`${path}/${id}/${items}`, { description: 'Rope', quantity: 3.335, unit_price: 101 });
                const { subtotal, tax_amount, total } = expectStatus(await api.get(`${path}/${id}`), 200).body;
                return [item.amount, subtotal, tax_amount, total];
            };
            const bills = async () => [await bill('/v1/invoices', 'items', { client_id: client }), await bill('/v1/purchase-orders', 'order-items', { vendor_name: 'Chandler' }),
                (await add(`/v1/projects/${project}/time-entries`, { minutes: 61, hourly_rate: 101 })).amount];
            const inEuro = [336.84, 336.84, 25.26, 362.1], inYen = [337, 337, 25, 362];
            assert.deepEqual(await bills(), [inEuro, inEuro, 102.68]);
            expectStatus(await api.patch('/v1/company', { currency: 'JPY' }), 200);
            assert.deepEqual(await bills(), [inYen, inYen, 103]);
            const { stdout: query } = await promisify(execFile)(join(process.env.CORTEX_BUILD ?? join(root, 'build', 'asan'), 'schemas', 'schemac'),
                ['--check-sums', join(root, 'schemas', 'messages')], { maxBuffer: 1 << 24 });
            const wrong = () => stack.query(`SELECT name FROM (${query}) AS wrong WHERE company_id = '${company}'`);
            assert.deepEqual(await wrong(), [], 'what is from before another currency is no fault');
            await stack.run(`UPDATE invoice SET tax_amount = 24 WHERE company_id = '${company}' AND tax_amount = 25`);
            assert.ok((await wrong()).some(({ name }) => name === 'tax_amount'), 'another amount is one');
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
