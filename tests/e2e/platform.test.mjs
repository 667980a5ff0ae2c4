// What the platform keeps beside projects and tasks, as people use it: the life of an invoice, an order, a question, a member, a document, and
// the company itself. Each resource is its schema alone; that their verbs work is walked in e2e/api.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { expectCreated, expectProblem, expectStatus, newProject, newTask, pointersOf } from './api/expect.mjs';

const year = new Date().getUTCFullYear();
let stack;

before(async () => {
    stack = await startStack('platform', { gateway: { CORTEX_WAIT_MS: '60000' } });
});
after(() => stack?.stop());

async function newCompany() {
    const company = await stack.addCompany();
    const api = stack.client({ company });
    return { company, api, project: await newProject(api) };
}

const create = async (api, path, body) => expectCreated(await api.post(path, body), path);
const change = async (api, at, body) => expectStatus(await api.patch(at, body), 200).body;
// The refusal points at these members.
const refused = async (answer, status, slug, ...pointers) =>
    assert.deepEqual(pointersOf(expectProblem(await answer, status, slug)), pointers.map((one) => `/${one}`).sort());
const eventsOf = async (api, project) => expectStatus(await api.get(`/v1/events?after=0&channels=project:${project.id}`), 200).body.data
    .map(({ type }) => type);

async function newInvoice(api, client, more = {}) {
    const invoice = await create(api, '/v1/invoices', { client_id: client.id, due_date: '2099-12-31', ...more });
    await create(api, `/v1/invoices/${invoice.id}/items`, { description: 'Concrete', quantity: 2.5, unit_price: 99.99 });
    return { ...invoice, at: `/v1/invoices/${invoice.id}` };
}

describe('an invoice', () => {
    test('test_its_life_when_it_is_sent_then_it_has_a_number_and_is_cancelled_but_not_deleted', async () => {
        const { api, project } = await newCompany();
        const client = await create(api, '/v1/clients', { name: 'City of Bridges' });
        await refused(api.post('/v1/invoices', { client_id: client.id, status: 'sent' }), 422, 'validation', 'status');
        const invoice = await create(api, '/v1/invoices', { client_id: client.id, project_id: project.id });
        const at = `/v1/invoices/${invoice.id}`, items = `${at}/items`;
        assert.deepEqual([invoice.number, invoice.status, invoice.total], [null, 'draft', 0]);
        await refused(api.patch(at, { status: 'sent', due_date: '2099-12-31' }), 409, 'conflict', 'status');
        const item = await create(api, items, { description: 'Steel', quantity: 0.333, unit_price: 19.99 });
        assert.deepEqual([item.amount, item.project_id, item.invoice_id], [6.66, project.id, invoice.id]); // 6.65667
        await refused(api.patch(at, { status: 'sent' }), 422, 'validation', 'due_date');
        expectProblem(await api.patch(at, { status: 'paid' }), 409, 'illegal-transition');
        const sent = await change(api, at, { status: 'sent', due_date: '2099-12-31' });
        assert.deepEqual([sent.number, sent.status], [`INV-${year}-0001`, 'sent']);
        assert.ok(sent.sent_at && sent.issue_date && !sent.paid_at);
        for (const answer of [api.patch(at, { due_date: '2100-01-01' }), api.delete(at), api.post(items, { description: 'More', unit_price: 1 }),
            api.patch(`${items}/${item.id}`, { unit_price: 1 }), api.delete(`${items}/${item.id}`)])
            expectProblem(await answer, 409, 'conflict');
        const paid = await change(api, at, { status: 'paid' });
        assert.deepEqual([paid.number, paid.paid_at], [sent.number, paid.updated_at]);
        const again = await change(api, at, { status: 'sent' });
        assert.deepEqual([again.number, again.paid_at, again.sent_at], [sent.number, null, sent.sent_at]);
        assert.equal((await change(api, at, { status: 'cancelled' })).number, sent.number);
        expectProblem(await api.delete(at), 409, 'conflict');
        assert.deepEqual((await eventsOf(api, project)).slice(1), ['invoice.created', 'invoice_item.created', ...Array(5).fill('invoice.updated')]);
    });

    test('test_numbers_when_invoices_are_sent_at_once_then_they_have_no_gaps_and_a_draft_takes_none', async () => {
        const { api } = await newCompany();
        const client = await create(api, '/v1/clients', { name: 'City of Towers' });
        const invoices = await Promise.all(Array.from({ length: 12 }, () => newInvoice(api, client)));
        expectStatus(await api.delete(invoices[0].at), 204); // with its items
        const kept = invoices.slice(1);
        const answers = await Promise.all(kept.flatMap(({ at }, i) =>
            [api.patch(at, { status: i === 5 ? 'cancelled' : 'sent' }), api.patch(at, { status: 'draft' })]));
        assert.equal(answers.filter(({ status }) => status === 200).length >= kept.length, true);
        const all = expectStatus(await api.get('/v1/invoices?limit=50'), 200).body.data;
        assert.deepEqual(all.map(({ number }) => number).filter(Boolean).sort(),
            Array.from({ length: 10 }, (_, i) => `INV-${year}-${String(i + 1).padStart(4, '0')}`));
        assert.deepEqual(all.filter(({ number }) => !number).map(({ status }) => status), ['cancelled']);
    });

    test('test_what_it_refers_to_when_deleted_then_refused_and_when_it_is_anothers_then_as_if_it_were_not_there', async () => {
        const { api, project } = await newCompany(), other = await newCompany();
        const client = await create(api, '/v1/clients', { name: 'City of Locks' });
        const theirs = await create(other.api, '/v1/clients', { name: 'Elsewhere' });
        await refused(api.post('/v1/invoices', { client_id: theirs.id }), 422, 'validation', 'client_id');
        await refused(api.post('/v1/invoices', { client_id: client.id, project_id: other.project.id }), 422, 'validation', 'project_id');
        const { at } = await newInvoice(api, client, { project_id: project.id });
        assert.equal(expectProblem(await api.delete(`/v1/clients/${client.id}`), 409, 'conflict').body.detail, 'The client has invoices. Delete them first.');
        assert.equal(expectProblem(await api.delete(`/v1/projects/${project.id}`), 409, 'conflict').body.detail, 'The project has invoices. Delete them first.');
        for (const path of [at, `/v1/clients/${client.id}`, `/v1/projects/${project.id}`]) expectStatus(await api.delete(path), 204);
    });
});

describe('an order', () => {
    test('test_its_life_when_it_is_approved_and_received_then_it_says_who_and_when', async () => {
        const { company, api } = await newCompany();
        const order = await create(api, '/v1/purchase-orders', { vendor_name: 'Quarry' });
        const at = `/v1/purchase-orders/${order.id}`;
        const item = await create(api, `${at}/order-items`, { description: 'Gravel', unit_price: -5 });
        assert.deepEqual([item.quantity, item.amount, item.project_id], [1, -5, null]);
        expectProblem(await api.patch(at, { status: 'approved' }), 409, 'illegal-transition');
        assert.equal((await change(api, at, { status: 'sent' })).number, `PO-${year}-0001`);
        const user = await stack.addUser(company, 'company_admin');
        const approved = await change(stack.client({ company, user, role: 'company_admin' }), at, { status: 'approved' });
        assert.deepEqual([approved.approver_id, approved.approved_at], [user, approved.updated_at]);
        const received = await change(api, at, { status: 'received', notes: 'All there.' });
        assert.deepEqual([received.received_at, received.approver_id, received.approved_at], [received.updated_at, user, approved.approved_at]);
        expectProblem(await api.patch(at, { status: 'cancelled' }), 409, 'illegal-transition');
        expectProblem(await api.delete(at), 409, 'conflict');
    });
});

describe('a request for information', () => {
    test('test_its_life_when_it_is_answered_then_it_says_when_and_it_is_voided_not_deleted', async () => {
        const { api, project } = await newCompany(), path = `/v1/projects/${project.id}/rfis`;
        const rfi = await create(api, path, { subject: 'Beam', question: 'How thick?' }), at = `${path}/${rfi.id}`;
        assert.deepEqual([rfi.number, rfi.status, rfi.answered_at], ['RFI-0001', 'open', null]);
        await refused(api.patch(at, { status: 'answered' }), 422, 'validation', 'answer');
        const answered = await change(api, at, { status: 'answered', answer: '12 mm' });
        assert.equal(answered.answered_at, answered.updated_at);
        await change(api, at, { status: 'closed' });
        await refused(api.patch(at, { answer: null }), 422, 'validation', 'answer');
        assert.equal((await change(api, at, { status: 'open' })).answered_at, answered.answered_at);
        await change(api, at, { status: 'void' });
        expectProblem(await api.patch(at, { status: 'open' }), 409, 'illegal-transition');
        expectProblem(await api.delete(at), 405, 'method-not-allowed');
        assert.equal(expectProblem(await api.delete(`/v1/projects/${project.id}`), 409, 'conflict').body.detail, 'The project has rfis, which are never deleted.');
    });

    test('test_numbers_when_projects_count_then_each_for_itself_and_without_gaps', async () => {
        const { api, project } = await newCompany(), other = await newProject(api);
        const ask = (at, i) => api.post(`/v1/projects/${at.id}/rfis`, { subject: `Question ${i}`, question: i === 3 ? '' : 'Where?' });
        await Promise.all(Array.from({ length: 8 }, (_, i) => [ask(project, i), ask(other, i)]).flat());
        for (const at of [project, other]) {
            const { data } = expectStatus(await api.get(`/v1/projects/${at.id}/rfis`), 200).body;
            assert.deepEqual(data.map(({ number }) => number).sort(), Array.from({ length: 7 }, (_, i) => `RFI-000${i + 1}`));
        }
    });
});

describe('what belongs to a project', () => {
    test('test_a_member_when_added_twice_then_a_conflict_that_points_at_the_user', async () => {
        const { company, api, project } = await newCompany(), path = `/v1/projects/${project.id}/members`;
        const user = await stack.addUser(company);
        const member = await create(api, path, { user_id: user, hourly_rate: 40 });
        await refused(api.post(path, { user_id: user }), 409, 'conflict', 'user_id');
        await refused(api.post(path, { user_id: project.id }), 422, 'validation', 'user_id');
        await refused(api.patch(`${path}/${member.id}`, { joined_on: '2026-05-01', left_on: '2026-04-01' }), 422, 'validation', 'left_on');
        const another = await newProject(api);
        await create(api, `/v1/projects/${another.id}/members`, { user_id: user });
        const both = await Promise.all([1, 2].map(async () => api.post(path, { user_id: await stack.addUser(company) })));
        assert.deepEqual(both.map(({ status }) => status), [201, 201]);
        const twice = await stack.addUser(company);
        assert.deepEqual((await Promise.all([1, 2].map(() => api.post(path, { user_id: twice })))).map(({ status }) => status).sort(), [201, 409]);
        expectStatus(await api.delete(`/v1/projects/${project.id}`), 204); // members go with it
    });

    test('test_milestones_times_and_comments_when_changed_then_their_rules_hold', async () => {
        const { api, project } = await newCompany(), path = `/v1/projects/${project.id}`;
        const milestone = await create(api, `${path}/milestones`, { title: 'Topping out' });
        const done = await change(api, `${path}/milestones/${milestone.id}`, { status: 'completed' });
        assert.equal(done.completed_at, done.updated_at);
        assert.equal((await change(api, `${path}/milestones/${milestone.id}`, { status: 'in-progress' })).completed_at, null);
        const task = await newTask(api, project);
        const time = await create(api, `${path}/time-entries`, { task_id: task.id, minutes: 50, hourly_rate: 33.33, started_at: '2026-05-01T23:30:00Z' });
        assert.deepEqual([time.amount, time.worked_on], [27.78, '2026-05-01']); // 27.775
        await refused(api.post(`${path}/time-entries`, { minutes: 5, started_at: '2026-05-01T10:00:00Z', ended_at: '2026-05-01T09:00:00Z' }), 422, 'validation', 'ended_at');
        const comment = await create(api, `${path}/comments`, { body: 'Mind the gap.', task_id: task.id });
        expectProblem(await api.post(`${path}/comments`, { body: 'Both', task_id: task.id, milestone_id: milestone.id }), 422, 'validation');
        expectProblem(await api.delete(`${path}/tasks/${task.id}`), 409, 'conflict');
        expectStatus(await api.delete(`${path}/comments/${comment.id}`), 204);
        await change(api, path, { status: 'active' });
        await change(api, path, { status: 'completed' });
        for (const [below, body] of [['milestones', { title: 'X' }], ['time-entries', { minutes: 1 }], ['rfis', { subject: 'X', question: 'X' }]])
            expectProblem(await api.post(`${path}/${below}`, body), 409, 'conflict');
        await create(api, `${path}/comments`, { body: 'Well done.' });
    });

    test('test_many_entries_of_one_project_when_sent_at_once_then_each_is_there_once_and_its_channel_has_heard', async () => {
        const { api, project } = await newCompany(), path = `/v1/projects/${project.id}/comments`;
        const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 10 === 9
            ? api.post(`/v1/projects/${crypto.randomUUID()}/comments`, { body: `${i}` }) : api.post(path, { body: `${i}` }))));
        answers.forEach((answer, i) => (i % 10 === 9 ? expectProblem(answer, 404, 'not-found') : assert.equal(expectCreated(answer, path).body, `${i}`)));
        assert.equal((await eventsOf(api, project)).filter((type) => type === 'comment.created').length, 36);
    });
});

describe('arrays and objects', () => {
    test('test_an_array_when_stored_then_it_comes_back_in_answers_lists_events_and_patches', async () => {
        const { api, project } = await newCompany();
        const file = { name: 'Plan', file_path: 'plans/1.pdf', bytes: 5 };
        const plain = await create(api, '/v1/documents', file);
        assert.deepEqual([plain.tags, plain.project_id], [[], null]);
        const document = await create(api, '/v1/documents', { ...file, project_id: project.id, tags: ['näh "x"', 'b'] });
        const at = `/v1/documents/${document.id}`;
        assert.deepEqual(document.tags, ['näh "x"', 'b']);
        assert.deepEqual((await change(api, at, { tags: ['c'] })).tags, ['c']);
        assert.deepEqual((await change(api, at, { public: true })).tags, ['c']);
        await refused(api.patch(at, { tags: ['c', ''] }), 422, 'validation', 'tags/1');
        await refused(api.patch(at, { project_id: null }), 422, 'validation', 'project_id');
        expectProblem(await api.get('/v1/documents?tags=c'), 400, 'bad-request');
        const { data } = expectStatus(await api.get(`/v1/events?after=0&channels=project:${project.id}`), 200).body;
        assert.deepEqual(data.filter(({ data: { id } }) => id === document.id).map((event) => event.data.tags), [document.tags, ['c'], ['c']]);
        const entry = await create(api, '/v1/activities', { entity: 'task', action: 'moved', metadata: [{ name: 'from', value: null }, { name: 'to', value: 'x' }] });
        assert.deepEqual(entry.metadata, [{ name: 'from', value: null }, { name: 'to', value: 'x' }]);
        await refused(api.post('/v1/activities', { entity: 'task', action: 'moved', metadata: [{ name: 'a' }] }), 422, 'validation', 'metadata/0/value');
        expectProblem(await api.patch(`/v1/activities/${entry.id}`, {}), 405, 'method-not-allowed');
    });
});

describe('the company', () => {
    test('test_the_company_when_its_admin_changes_it_then_everybody_reads_it_and_its_days_follow', async () => {
        const { company, api } = await newCompany(), admin = stack.client({ company, role: 'company_admin' });
        const read = expectStatus(await api.get('/v1/company'), 200);
        assert.deepEqual([read.body.id, read.body.time_zone, read.body.currency], [company, 'UTC', 'EUR']);
        for (const [body, pointer] of [[{ time_zone: 'Mars/Base' }, 'time_zone'], [{ time_zone: 'UTC+3:00' }, 'time_zone'], [{ currency: 'eur' }, 'currency'],
            [{ name: '' }, 'name'], [{ id: company }, 'id']])
            await refused(admin.patch('/v1/company', body), 422, 'validation', pointer);
        expectProblem(await stack.client({ company, role: 'project_manager' }).patch('/v1/company', { city: 'Berlin' }), 403, 'forbidden');
        expectProblem(await admin.patch('/v1/company', { city: 'Berlin' }, { 'if-match': '"7"' }), 412, 'version-conflict');
        const changed = expectStatus(await admin.patch('/v1/company', { city: 'Berlin', time_zone: 'Pacific/Auckland' }, { 'if-match': '"1"' }), 200).body;
        assert.deepEqual([changed.city, changed.version], ['Berlin', 2]);
        expectStatus(await api.get('/v1/company', { 'if-none-match': '"2"' }), 304);
        assert.equal(expectStatus(await stack.client({ company: await stack.addCompany() }).get('/v1/company'), 200).body.city, null);
        const project = await newProject(api);
        const time = await create(api, `/v1/projects/${project.id}/time-entries`, { minutes: 5, started_at: '2026-05-01T13:00:00Z' });
        assert.equal(time.worked_on, '2026-05-02');
        const { data } = expectStatus(await api.get('/v1/events?after=0'), 200).body;
        assert.deepEqual(data.filter(({ type }) => type === 'company.updated').map(({ data: { id, city } }) => [id, city]), [[company, 'Berlin']]);
    });
});
