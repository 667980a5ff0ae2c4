// Who sees and does what: every role, as somebody and as nobody of a project, at every door. What is right is read from the schemas by an
// evaluator of the tests' own (lib/rights.mjs). Walks go over every resource that the schemas make, and over everything of a second company. One stack.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { expectCreated, expectProblem, expectStatus } from './api/expect.mjs';
import { closeAll, Speaker } from './realtime/clients.mjs';
import { closeAll as closeStreams, Stream } from './streams/clients.mjs';
import { addProjects } from '../lib/exports.mjs';
import { until } from '../lib/process.mjs';
import { fieldsOf, has, readRoles, statusOf } from '../lib/rights.mjs';
import { each, World } from '../lib/rights_world.mjs';
import { startStack } from '../lib/stack.mjs';
import { Stall } from '../lib/stall.mjs';
import { readResources } from '../lib/tables.mjs';
import { root } from '../lib/servers.mjs';

const roles = readRoles(root);
const resources = Object.fromEntries(readResources(join(root, 'schemas/messages')).map((resource) => [resource.name, resource]));
const { project: PROJECT, task: TASK, project_member: MEMBER } = resources;
const RELATIONS = [
    { what: 'nobody' }, { what: 'a member', member: true }, { what: 'the manager', member: true, manager: true },
    { what: 'the assignee', member: true, assignee: true },
];

// What somebody sees of a company's events who sees all of them as `all`. tied(event): { role, member, … }, what the user is to the event's project.
const seenOf = (all, tied) => all.map((event) => {
    const resource = resources[event.type.split('.')[0]], is = tied(event);
    if (!has(resource, 'read', is)) return { seq: event.seq };
    const hidden = (key) => { const one = resource.fields[key]?.['x-class']; return one && !roles[is.role].includes(one); };
    return { ...event, data: Object.fromEntries(Object.entries(event.data).filter(([key]) => !hidden(key))) };
});
// Runs of numbers, {"seq":9,"from":7}, as the numbers that they stand for.
const flat = (events) => events.flatMap((event) => (event.from === undefined ? [event] : Array.from({ length: event.seq - event.from + 1 }, (_, i) => ({ seq: event.from + i }))));

let stack;
// Positions are not compared by the clock: what ends a channel here is the event.
before(async () => { stack = await startStack('rights', { gateway: { CORTEX_POSITION_CHECK_MS: '3600000' }, pools: ['webhooks'] }); });
after(async () => {
    closeAll();
    closeStreams();
    await stack?.stop();
});

// A project with a task, and a user of the role who is that to it.
async function scene(role, relation) {
    const company = await stack.addCompany();
    const admin = stack.client({ company }), user = await stack.addUser(company, role);
    const project = expectCreated(await admin.post('/v1/projects', { name: 'Bridge', budget: 12.5, ...(relation.manager && { manager_id: user }) }), '/v1/projects');
    const at = `/v1/projects/${project.id}`, tasks = `${at}/tasks`, members = `${at}/members`;
    const task = expectCreated(await admin.post(tasks, { title: 'Pour', ...(relation.assignee && { assignee_id: user }) }), tasks);
    if (relation.member && !relation.manager && !relation.assignee) expectCreated(await admin.post(members, { user_id: user }), members);
    const hidden = expectCreated(await admin.post('/v1/projects', { name: 'Other' }), '/v1/projects');
    const who = { company, role, user };
    return { company, admin, user, project, at, tasks, task, members, hidden, who, api: stack.client(who), is: { role, ...relation } };
}

const answerOf = async (speaker, line, body) => {
    const { rpc } = await speaker.ask({ id: 9, rpc: { method: line, data: body ? { body } : {} } });
    return { status: rpc.data.status, body: rpc.data.body };
};

// The requests of a scene: what is asked, and what must come.
function requestsOf({ project, at, tasks, task, members, is, user }) {
    return [
        ['GET', at, undefined, statusOf(PROJECT, 'read', is, 200)],
        ['GET', tasks, undefined, statusOf(TASK, 'read', is, 200)],
        ['GET', `${tasks}/${task.id}`, undefined, statusOf(TASK, 'read', is, 200)],
        ['GET', members, undefined, statusOf(MEMBER, 'read', is, 200)],
        ['PATCH', at, { description: 'x' }, statusOf(PROJECT, 'update', is, 200)],
        ['PATCH', `${tasks}/${task.id}`, { description: 'x' }, statusOf(TASK, 'update', is, 200)],
        ['POST', tasks, { title: 'Next' }, statusOf(TASK, 'create', is, 201, PROJECT)],
        ['POST', members, { user_id: user }, statusOf(MEMBER, 'create', is, is.member ? 409 : 201, PROJECT)],
        ['DELETE', `${tasks}/${task.id}`, undefined, statusOf(TASK, 'delete', is, 204)],
        ['DELETE', `/v1/projects/${project.id}`, undefined, statusOf(PROJECT, 'delete', is, 409)],
    ];
}

const make = async (api, path, body) => expectCreated(await api.post(path, body), path);
const FILE = { name: 'Plan', file_path: 'plans/1.pdf', bytes: 1 };

describe('rights', () => {
    const relationsOf = (role) => RELATIONS.filter(({ member }) => role !== 'gardener' || !member); // nobody knows this role
    for (const role of [...Object.keys(roles), 'gardener']) for (const relation of relationsOf(role)) {
        const name = `test_rights_of_${role}_when_${relation.what.replaceAll(' ', '_')}_then_each_door_does_what_the_schemas_say`;
        test(name, async () => {
            const s = await scene(role === 'gardener' ? 'operative' : role, relation);
            s.is.role = role;
            const api = stack.client({ ...s.who, role }), speaker = role === 'gardener' ? undefined : await Speaker.connected(stack, s.who);
            for (const [method, path, body, expected] of requestsOf(s)) {
                if (method === 'GET' && speaker) assert.equal((await answerOf(speaker, `${method} ${path}`)).status, expected, `rpc ${method} ${path}`);
                if (method !== 'GET' && expected < 400 && speaker && method === 'PATCH')
                    assert.equal((await answerOf(speaker, `${method} ${path}`, body)).status, expected, `rpc ${method} ${path}`);
                const answer = await api.call(method, path, { body });
                assert.equal(answer.status, expected, `${method} ${path}: ${answer.text}`);
                if (expected === 403 && role !== 'gardener') assert.match(answer.body.detail, /right (project|task|project_member)\.(create|read|update|delete)/);
            }
            const seesAll = has(PROJECT, 'read', { role }), sees = has(PROJECT, 'read', s.is);
            const names = (answer) => answer.body.data.map(({ id }) => id).sort();
            const list = await api.get('/v1/projects?limit=50');
            if (role === 'gardener') {
                expectProblem(list, 403, 'forbidden');
            } else {
                assert.deepEqual(names(expectStatus(list, 200)), seesAll ? [s.project.id, s.hidden.id].sort() : sees ? [s.project.id] : []);
                for (const one of list.body.data) assert.deepEqual(Object.keys(one).sort(), fieldsOf(PROJECT, roles[role]));
            }
            if (sees && !roles[role].includes('money')) for (const query of ['budget=1', 'sort=budget', 'fields=budget'])
                expectProblem(await api.get(`/v1/projects?${query}`), 403, 'forbidden');
            for (const [channel, may] of [[`company:${s.company}`, role !== 'gardener'], [`project:${s.project.id}`, sees], [`project:${s.hidden.id}`, seesAll]]) {
                const page = await api.get(`/v1/events?after=0&channels=${channel}`, { accept: 'application/json' });
                assert.equal(page.status, may ? 200 : 403, `page of ${channel}`);
                const stream = await api.head(`/v1/events?channels=${channel}`, { accept: 'text/event-stream' });
                assert.equal(stream.status, may ? 200 : 403, `stream of ${channel}`);
                if (speaker) assert.equal((await speaker.ask({ id: 10, subscribe: { channel } })).error?.code, may ? undefined : 103, `subscribe to ${channel}`);
                if (may && channel.startsWith('company:')) {
                    const all = await s.admin.get(`/v1/events?after=0&channels=${channel}`, { accept: 'application/json' });
                    const tied = ({ project }) => (project === s.project.id ? s.is : { role });
                    assert.deepEqual(flat(page.body.data), seenOf(all.body.data, tied));
                }
                for (const event of may ? page.body.data.filter(({ type }) => type?.startsWith('project.')) : [])
                    assert.deepEqual(Object.keys(event.data).filter((key) => PROJECT.fields[key]?.['x-class'] === 'money').length > 0, roles[role].includes('money'));
            }
            const result = await api.get(`/v1/operations/${s.project.id}`); // the command that made it was an admin's
            if (role !== 'gardener') assert.equal(result.body.status, /admin$/.test(role) ? 'succeeded' : 'pending');
            speaker?.disconnect();
        });
    }

    test('test_channel_when_its_subscriber_is_a_member_no_more_then_is_lost_within_a_second', { timeout: 60_000 }, async () => {
        const s = await scene('supervisor', RELATIONS[1]);
        const channel = `project:${s.project.id}`, speaker = await Speaker.connected(stack, s.who);
        assert.equal((await speaker.ask({ id: 2, subscribe: { channel } })).error, undefined);
        const poll = s.api.get(`/v1/events?after=999999&channels=${channel}`, { accept: 'application/json' });
        expectProblem(await poll, 410, 'position-gone');
        const [{ id }] = expectStatus(await s.admin.get(s.members), 200).body.data;
        const lost = (async () => { for (;;) { const { push } = await speaker.next(); if (push?.unsubscribe) return push.unsubscribe.code; } })();
        expectStatus(await s.admin.delete(`${s.members}/${id}`), 204);
        const began = Date.now(), stall = new Stall();
        assert.equal(await lost, 2500);
        const took = Date.now() - began, late = stall.end();
        assert.ok(took < 1000 + late, `it took ${took} ms, and this process was held up for ${late} ms`);
        assert.equal((await speaker.ask({ id: 3, subscribe: { channel } })).error.code, 103);
        expectProblem(await s.api.get(s.at), 404, 'not-found');
        speaker.disconnect();
    });

    for (const role of ['supervisor', 'operative'])
        test(`test_company_stream_of_${role}_when_memberships_come_and_go_then_each_event_is_seen_by_the_ties_of_its_moment`, { timeout: 60_000 }, async () => {
            const company = await stack.addCompany(), user = await stack.addUser(company, role), who = { company, user, role };
            const admin = stack.client({ company }), channel = `company:${company}`, accept = { accept: 'application/json' };
            const make = async (path, body) => expectCreated(await admin.post(path, body), path);
            const [own, other, third] = [await make('/v1/projects', { name: 'Own', budget: 5 }), await make('/v1/projects', { name: 'Other' }), await make('/v1/projects', { name: 'Third' })];
            const mine = await make(`/v1/projects/${own.id}/members`, { user_id: user });
            const speaker = await Speaker.connected(stack, who), idle = await Speaker.connected(stack, { company });
            const { subscribe: { epoch } } = await speaker.ask({ id: 2, subscribe: { channel, join_leave: true } });
            const heard = [], ties = new Map([[own.id, 'member']]), expected = [];
            const all = async () => expectStatus(await admin.get(`/v1/events?after=0&limit=200&channels=${channel}`, accept), 200).body.data;
            let seen = (await all()).length;
            // What has happened is awaited: the ties of its moment are those of now.
            const then = async () => {
                const events = (await all()).slice(seen), last = events.at(-1).seq;
                while (heard.at(-1)?.seq !== last) {
                    const { push } = await speaker.next();
                    assert.ok(push?.pub, `a push that is no event: ${JSON.stringify(push)}`);
                    assert.equal(push.pub.offset, push.pub.data.seq);
                    heard.push(...flat([push.pub.data]));
                }
                expected.push(...seenOf(events, ({ project }) => ({ role, [ties.get(project)]: true })));
                assert.deepEqual(heard, expected);
                seen += events.length;
            };
            for (const { id } of [own, other, third]) await make(`/v1/projects/${id}/tasks`, { title: 'Pour' });
            await make('/v1/clients', { name: 'Ann' });
            await admin.patch(`/v1/projects/${own.id}`, { budget: 7 });
            await then();
            ties.set(other.id, 'member');
            await make(`/v1/projects/${other.id}/members`, { user_id: user });
            await then();
            await make(`/v1/projects/${other.id}/tasks`, { title: 'Dry' });
            await then();
            ties.set(third.id, 'member'); // whom a task is assigned to becomes a member
            await make(`/v1/projects/${third.id}/tasks`, { title: 'Paint', assignee_id: user });
            await make(`/v1/projects/${third.id}/tasks`, { title: 'Sweep' });
            await then();
            ties.delete(own.id);
            expectStatus(await admin.delete(`/v1/projects/${own.id}/members/${mine.id}`), 204);
            await make(`/v1/projects/${own.id}/tasks`, { title: 'Secret' });
            await then();
            assert.ok(heard.some(({ type }) => type) && heard.some(({ type }) => !type));

            // What is past is seen by the ties of now, at every other door.
            const now = seenOf(await all(), ({ project }) => ({ role, [ties.get(project)]: true }));
            const { history } = await speaker.ask({ id: 3, history: { channel, limit: -1 } });
            assert.deepEqual(flat(history.publications.map(({ data }) => data)), now);
            assert.equal((await speaker.ask({ id: 4, presence: { channel } })).error?.code, 103);
            assert.equal((await speaker.ask({ id: 5, presence_stats: { channel } })).error?.code, 103);
            assert.deepEqual(flat(expectStatus(await stack.client(who).get(`/v1/events?after=0&limit=200&channels=${channel}`, accept), 200).body.data), now);
            const late = await Speaker.connected(stack, who);
            const { subscribe } = await late.ask({ id: 2, subscribe: { channel, recover: true, epoch, offset: 0 } });
            assert.equal(subscribe.recovered, true);
            assert.deepEqual(flat(subscribe.publications.map(({ data }) => data)), now);
            const stream = await Stream.open(stack, { who, query: `?channels=${channel}`, headers: { 'last-event-id': `${epoch}:0` } }), streamed = [];
            for (await stream.next(); streamed.length < now.length;) streamed.push(...flat([(await stream.next()).data]));
            assert.deepEqual(streamed, now);
            stream.close();
            await idle.ask({ id: 2, subscribe: { channel } });
            assert.ok(Object.values((await idle.ask({ id: 3, presence: { channel } })).presence.presence).some((one) => one.user === user));
            [speaker, late, idle].forEach((one) => one.disconnect());
        });

    test('test_scheduled_command_when_its_sender_is_a_member_no_more_then_404', async () => {
        const s = await scene('supervisor', RELATIONS[1]);
        const soon = { 'cortex-run-at': new Date(Date.now() + 1500).toISOString() };
        const { location } = expectStatus(await s.api.patch(`${s.tasks}/${s.task.id}`, { title: 'Later' }, soon), 202).headers;
        const [{ id }] = expectStatus(await s.admin.get(s.members), 200).body.data;
        expectStatus(await s.admin.delete(`${s.members}/${id}`), 204);
        await until(async () => (await s.admin.get(location)).body.status === 'failed', 30_000, 'the command');
        assert.equal((await s.admin.get(location)).body.problem.status, 404);
        assert.equal((await s.admin.get(`${s.tasks}/${s.task.id}`)).body.title, 'Pour');
    });

    test('test_list_when_few_of_many_projects_are_the_members_then_pages_are_full_and_have_each_once', async () => {
        const s = await scene('operative', RELATIONS[0]);
        await addProjects(stack, s.company, 1000);
        await stack.run(`INSERT INTO project_member (company_id, id, project_id, user_id) SELECT company_id, gen_random_uuid(), id, '${s.user}'
            FROM project WHERE company_id = '${s.company}' ORDER BY id LIMIT 120`);
        const found = [];
        for (let next = ''; next !== null;) {
            const { body } = expectStatus(await s.api.get(`/v1/projects?limit=50${next && `&after=${next}`}`), 200);
            assert.ok(body.next === null || body.data.length === 50);
            found.push(...body.data.map(({ id }) => id));
            next = body.next;
        }
        assert.equal(found.length, 120);
        assert.equal(new Set(found).size, 120);
    });

    test('test_list_when_it_includes_what_the_reader_may_not_see_then_null_and_allowed_only_what_it_may_change', async () => {
        const s = await scene('operative', RELATIONS[3]);
        await make(s.admin, s.tasks, { title: 'Of another' });
        const tasks = expectStatus(await s.api.get(`${s.tasks}?include=allowed,project`), 200).body.data;
        assert.deepEqual(tasks.map(({ title, allowed }) => [title, allowed.status.length > 0]), [['Pour', true], ['Of another', false]]);
        for (const { project } of tasks) assert.deepEqual(Object.keys(project).sort(), fieldsOf(PROJECT, roles.operative));
        const counted = await s.api.get(`${s.tasks}?include=allowed,project`, { prefer: 'count=exact' });
        assert.equal(expectStatus(counted, 200).body.count, 2);
        const above = [await make(s.admin, '/v1/documents', { ...FILE, project_id: s.project.id }), await make(s.admin, '/v1/documents', { ...FILE, project_id: s.hidden.id })];
        for (const { id } of above) await make(s.admin, '/v1/documents', { ...FILE, name: 'Below', project_id: s.project.id, parent_document_id: id });
        const of = async (api) => expectStatus(await api.get('/v1/documents?include=parent_document&limit=50'), 200).body.data
            .filter(({ name }) => name === 'Below').map(({ parent_document: one }) => one?.id ?? null);
        assert.deepEqual(await of(s.admin), [above[0].id, above[1].id]);
        assert.deepEqual(await of(s.api), [above[0].id, null]);
        expectProblem(await s.api.get('/v1/projects?include=client'), 400, 'bad-request'); // of which it may read none
    });

    test('test_export_when_the_role_does_not_read_all_of_it_then_403_that_names_the_field', async () => {
        const company = await stack.addCompany();
        const begin = (role, resource) => stack.client({ company, role }).post('/v1/exports', { resource });
        for (const [role, resource] of [['developer', 'client'], ['supervisor', 'task']]) expectProblem(await begin(role, resource), 403, 'forbidden');
        for (const [role, resource] of [['developer', 'project'], ['project_manager', 'client'], ['company_admin', 'client']])
            expectCreated(await begin(role, resource), '/v1/exports');
    });

    test('test_manager_when_a_project_manager_names_none_then_is_the_caller_and_may_go_on', async () => {
        const company = await stack.addCompany(), user = await stack.addUser(company);
        const api = stack.client({ company, user, role: 'project_manager' });
        const made = expectCreated(await api.post('/v1/projects', { name: 'Own' }), '/v1/projects');
        assert.equal(made.manager_id, user);
        expectStatus(await api.patch(`/v1/projects/${made.id}`, { name: 'Own and dear' }), 200);
        assert.equal(expectCreated(await stack.client({ company }).post('/v1/projects', { name: 'No one' }), '/v1/projects').manager_id, null);
    });
});

// Each request is sent for every resource that the schemas make, by each role, as each of RELATIONS.
describe('every resource', () => {
    const THROUGH = [200, 201, 204, 409]; // the state of an entity may refuse what the right lets through
    let world;
    before(async () => { world = await new World(stack, resources, make).build(); });

    const outcome = (status, path, answer, expected) => (expected === 200 ? assert.ok(THROUGH.includes(status), `${path}: ${status} ${answer.text ?? ''}`)
        : assert.equal(status, expected, `${path}: ${answer.text ?? JSON.stringify(answer)}`));
    const right = (resource, verb) => resource.verbs.includes(verb);
    const above = ({ parent }) => resources[parent];

    async function walk(role, place, resource) {
        const is = { role, ...place.is }, who = { company: world.company, user: place.user, role }, api = stack.client(who);
        const at = world.at(resource, place), collection = world.collection(resource, place), entity = place.entities[resource.name];
        const mayRead = statusOf(resource, 'read', is, 200), label = (method, path) => `${role} as ${place.relation}: ${method} ${path}`;
        if (right(resource, 'get')) {
            const read = await api.get(at);
            outcome(read.status, label('GET', at), read, mayRead);
            if (mayRead === 200) assert.deepEqual(Object.keys(read.body).sort(), fieldsOf(resource, roles[role]), label('GET', at));
            for (const etag of mayRead === 404 ? ['*', '"1"'] : []) outcome((await api.get(at, { 'if-none-match': etag })).status, label('GET 304', at), {}, 404);
        }
        if (right(resource, 'list')) {
            const list = await api.get(`${collection}?limit=200`, { prefer: 'count=exact' });
            const may = mayRead === 403 ? 403 : above(resource) && !has(above(resource), 'read', is) ? 404 : 200;
            outcome(list.status, label('GET', collection), list, may);
            if (may === 200) assert.equal(list.body.data.some(({ id }) => id === entity.id), mayRead === 200, label('GET', collection));
            if (may === 200 && resource.parent && mayRead !== 200) assert.equal(list.body.count, 0);
        }
        if (right(resource, 'update')) {
            const may = statusOf(resource, 'update', is, 200);
            outcome((await api.patch(at, {})).status, label('PATCH', at), {}, may);
            for (const field of may === 200 ? world.hiddenFields(resource, roles[role]) : [])
                outcome((await api.patch(at, { [field]: null })).status, label(`PATCH ${field}`, at), {}, 403);
        }
        if (right(resource, 'create') && !['export', 'revocation'].includes(resource.name)) {
            const on = { ...is, self: true };
            const may = above(resource) ? statusOf(resource, 'create', on, 200, above(resource)) : has(resource, 'create', on) ? 200 : 403;
            const answer = await api.post(collection, await world.body(resource, place));
            outcome(answer.status, label('POST', collection), answer, may);
        }
        if (right(resource, 'delete')) {
            const may = statusOf(resource, 'delete', is, 200);
            if (may === 200 && resource.name === 'export') return; // it is there for the others
            const fresh = may === 200 && resource.name !== 'project' ? world.at(resource, place, await world.make(resource, place)) : at;
            const answer = await api.delete(fresh);
            outcome(answer.status, label('DELETE', fresh), answer, may);
        }
    }

    for (const role of Object.keys(roles))
        test(`test_every_resource_of_${role}_when_it_is_each_that_there_is_then_each_verb_does_what_the_schemas_say`, { timeout: 120_000 }, async () => {
            const work = Object.values(world.places).flatMap((place) => world.resources.map((resource) => [place, resource]));
            await each(work, 12, ([place, resource]) => walk(role, place, resource));
            const first = expectStatus(await world.admin.get('/v1/events?after=0&limit=200', { accept: 'application/json' }), 200).body.data;
            await Promise.all(Object.values(world.places).map(async (place) => {
                const speaker = await Speaker.connected(stack, { company: world.company, user: place.user, role }), is = { role, ...place.is };
                for (const resource of world.resources.filter((one) => right(one, 'get')))
                    assert.equal((await answerOf(speaker, `GET ${world.at(resource, place)}`)).status, statusOf(resource, 'read', is, 200), `rpc ${role} as ${place.relation}: ${resource.name}`);
                const api = stack.client({ company: world.company, user: place.user, role }), tied = ({ project }) => ({ role, ...(project === place.entities.project.id && { member: is.member, manager: is.manager }) });
                const channels = [['company', world.company, true], ...Object.values(world.places).map((one) => ['project', one.entities.project.id, has(PROJECT, 'read', one === place ? is : { role })])];
                for (const [kind, id, may] of channels) {
                    const query = `?channels=${kind}:${id}`, page = await api.get(`/v1/events${query}&after=0&limit=200`, { accept: 'application/json' });
                    assert.equal(page.status, may ? 200 : 403, `page of ${kind} for ${role} as ${place.relation}`);
                    assert.equal((await api.head(`/v1/events${query}`, { accept: 'text/event-stream' })).status, may ? 200 : 403, `stream of ${kind} for ${role} as ${place.relation}`);
                    assert.equal((await speaker.ask({ id: 7, subscribe: { channel: `${kind}:${id}` } })).error?.code, may ? undefined : 103, `${kind} for ${role} as ${place.relation}`);
                    speaker.say({ id: 8, unsubscribe: { channel: `${kind}:${id}` } });
                    while ((await speaker.next()).id !== 8);
                    if (may && kind === 'company') assert.deepEqual(flat(page.body.data), seenOf(first, tied), `${role} as ${place.relation}`);
                }
                speaker.disconnect();
            }));
        });

    test('test_another_company_when_it_asks_for_every_resource_by_every_way_then_404_and_nothing_else', { timeout: 120_000 }, async () => {
        const company = await stack.addCompany(), stranger = stack.client({ company, role: 'company_admin' });
        const place = world.places.own, poor = stack.client({ company: world.company, user: place.user, role: 'operative' });
        const project = await make(stranger, '/v1/projects', { name: 'Strange' });
        const client = await make(stranger, '/v1/clients', { name: 'Strange' });
        await each(world.resources.filter(({ single }) => !single), 8, async (resource) => {
            const at = world.at(resource, place), collection = world.collection(resource, place);
            if (right(resource, 'get')) for (const etag of [undefined, '*', '"1"']) expectProblem(await stranger.get(at, etag && { 'if-none-match': etag }), 404, 'not-found');
            if (right(resource, 'update')) for (const match of [undefined, '"1"']) expectProblem(await stranger.patch(at, {}, match && { 'if-match': match }), 404, 'not-found');
            if (right(resource, 'delete')) expectProblem(await stranger.delete(at), 404, 'not-found');
            if (resource.parent) {
                expectProblem(await stranger.get(collection, { prefer: 'count=exact' }), 404, 'not-found');
                expectProblem(await stranger.post(collection, await world.body(resource, place)), 404, 'not-found');
            } else {
                const { body } = expectStatus(await stranger.get(`${collection}?limit=200`, { prefer: 'count=exact' }), 200);
                assert.equal(body.count, ['project', 'client'].includes(resource.name) ? 1 : 0, resource.name);
            }
            for (const [name, field] of Object.entries(resource.fields)) {
                const id = place.entities[resource.name][name];
                if (!field['x-reference'] || !id || resource.parent) continue;
                if (field['x-filter']) assert.deepEqual(expectStatus(await stranger.get(`${collection}?${name}=${id}`), 200).body.data, [], `${collection}?${name}`);
                if (!field.readOnly && right(resource, 'create'))
                    expectProblem(await stranger.post(collection, { ...await world.body(resource, { entities: { project, client } }), [name]: id }), 422, 'validation');
            }
            const page = right(resource, 'list') ? expectStatus(await world.admin.get(`${collection}?limit=1`), 200).body : {};
            if (page.next) {
                if (!resource.parent) expectProblem(await stranger.get(`${collection}?after=${page.next}`), 400, 'bad-request');
                const less = await poor.get(`${collection}?after=${page.next}`); // a poor role with a rich role's
                const same = has(resource, 'read', { role: 'operative' }) && world.hiddenFields(resource, roles.operative).length === 0;
                if (less.status !== 403 && !same) expectProblem(less, 400, 'bad-request');
            }
        });
        expectProblem(await stranger.get(`/v1/exports/${place.entities.export.id}/content`), 404, 'not-found');
    });
});

describe('another company', () => {
    test('test_another_company_when_its_ids_cursors_channels_and_filters_are_used_then_404_and_nothing_else', async () => {
        const s = await scene('operative', RELATIONS[3]);
        const stranger = stack.client({ company: await stack.addCompany(), role: 'company_admin' });
        const member = expectStatus(await s.admin.get(s.members), 200).body.data[0];
        const paths = [s.at, `${s.tasks}/${s.task.id}`, `${s.members}/${member.id}`];
        for (const path of paths) {
            const read = expectProblem(await stranger.get(path), 404, 'not-found');
            for (const etag of ['"1"', '"2"', '*']) expectProblem(await stranger.get(path, { 'if-none-match': etag }), 404, 'not-found');
            expectProblem(await stranger.patch(path, {}), 404, 'not-found');
            expectProblem(await stranger.patch(path, {}, { 'if-match': '"1", "2"' }), 404, 'not-found');
            expectProblem(await stranger.delete(path), 404, 'not-found');
            const none = expectProblem(await stranger.get(path.replace(/[^/]+$/, randomUUID())), 404, 'not-found');
            assert.equal(read.body.detail, none.body.detail);
        }
        for (const path of [s.tasks, s.members]) {
            expectProblem(await stranger.get(path), 404, 'not-found');
            expectProblem(await stranger.post(path, path === s.tasks ? { title: 'x' } : { user_id: s.user }), path === s.tasks ? 404 : 404, 'not-found');
        }
        const { next } = expectStatus(await s.admin.get('/v1/projects?limit=1'), 200).body;
        expectProblem(await stranger.get(`/v1/projects?after=${next}`), 400, 'bad-request');
        expectProblem(await s.api.get(`/v1/projects?after=${next}`), 400, 'bad-request'); // of a role that sees more
        for (const query of ['', `?manager_id=${s.user}`, '?text=Bridge', '?archived=any'])
            assert.deepEqual(expectStatus(await stranger.get(`/v1/projects${query}`), 200).body.data, [], query);
        for (const channel of [`company:${s.company}`, `project:${s.project.id}`]) {
            expectProblem(await stranger.get(`/v1/events?after=0&channels=${channel}`, { accept: 'application/json' }), 403, 'forbidden');
            expectProblem(await stranger.get(`/v1/events?channels=${channel}`, { accept: 'text/event-stream' }), 403, 'forbidden');
        }
        assert.equal(expectStatus(await stranger.get(`/v1/operations/${s.project.id}`), 200).body.status, 'pending');
    });
});
