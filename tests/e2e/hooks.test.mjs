// Inbound webhooks: software of others signs, we verify, keep, map and run what they say.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';

import { send } from '../lib/http.mjs';
import { sleep, until } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';
import { senders } from './hooks/senders.mjs';

const examples = createRequire(import.meta.url)('@octokit/webhooks-examples/api.github.com/index.json');

let stack;
before(async () => {
    stack = await startStack('hooks', {
        pools: ['webhooks'],
        gateway: { CORTEX_WAIT_MS: '3000', CORTEX_HOOK_SOURCE_PER_S: '100000', CORTEX_ADDRESS_FAILURES: '100000' },
        worker: { CORTEX_BACKLOG_POLL_MS: '50' },
    });
});
after(() => stack?.stop());

const CREATE_CLIENT = [{ name: 'client', event: '*', command: 'client.create', fields: [{ to: 'name', from: '/name' }] }];

// A company with one source, which every gateway process knows.
async function newSource(name, fields = {}) {
    const sender = senders[name], company = await stack.addCompany(), api = stack.client({ company, role: 'company_admin' });
    const made = await api.post('/v1/hook-sources', {
        name, type: sender.type, secret: sender.secret, user_id: randomUUID(), role: 'company_admin', ...sender.fields, ...fields,
    });
    assert.equal(made.status, 201, made.text);
    const source = { ...sender, id: made.body.id, company, api, url: `${stack.url}/v1/hooks/${made.body.id}` };
    source.post = (body, headers) => send(source.url, { method: 'POST', body, headers });
    source.signed = async (body, options = {}) => source.post(body, { ...await sender.sign(sender.secret, body, options), ...options.headers });
    await known(source);
    return source;
}

// An answer to a question of no effect says that a process knows the source; there are two processes.
async function known({ url }) {
    let times = 0;
    await until(async () => {
        const { status } = await send(`${url}?validationToken=x`, { method: 'POST', agent: undefined, headers: { connection: 'close' } });
        times = status === 200 ? times + 1 : 0;
        return times >= 12;
    }, 30_000, 'every process to know the source');
}

const listed = async ({ api }, query = '') => (await api.get(`/v1/hook-events?limit=100${query}`)).body.data;
const eventsOf = async (source, count) => {
    await until(async () => (await listed(source)).length >= count, 30_000, `${count} events`);
    return listed(source);
};
const clientsOf = async ({ api }) => (await api.get('/v1/clients?limit=100')).body.data;
const octetsOf = async ({ company }, id) => Buffer.from(await (await fetch(`${stack.url}/v1/hook-events/${id}/body`, {
    headers: { authorization: `Bearer ${stack.token({ company, role: 'company_admin' })}` },
})).arrayBuffer());
const withoutId = ({ body }) => Object.fromEntries(Object.entries(body).filter(([name]) => !['instance', 'correlation_id'].includes(name)));

describe('signatures', () => {
    for (const [name, sender] of Object.entries(senders))
        test(`test_hook_when_signed_by_${name}_then_we_and_others_agree_on_right_and_wrong`, async () => {
            const source = await newSource(name), body = JSON.stringify({ id: 'evt_1', type: 'thing.made', text: 'Brücke' });
            const headers = await sender.sign(sender.secret, body);
            assert.equal(await sender.isRight(sender.secret, body, headers), true);
            assert.equal((await source.post(body, headers)).status, 200);
            const wrong = await sender.sign(`${sender.secret}abcd`, body);
            assert.equal(await sender.isRight(sender.secret, body, wrong), false);
            assert.equal((await source.post(body, wrong)).status, 401);
            if (['basic', 'bearer'].includes(name)) return; // they sign no body
            assert.equal(await sender.isRight(sender.secret, `${body} `, headers), false);
            assert.equal((await source.post(`${body} `, headers)).status, 401);
        });

    test('test_hook_when_it_is_the_vector_of_github_then_it_is_taken', async () => {
        const source = await newSource('github');
        const answer = await source.post('Hello, World!', {
            'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17', 'content-type': 'text/plain',
        });
        assert.equal(answer.status, 200);
        const [event] = await eventsOf(source, 1);
        assert.equal((await octetsOf(source, event.id)).toString(), 'Hello, World!');
    });

    test('test_hook_when_the_secret_is_rotated_then_both_sign_and_a_third_does_not', async () => {
        const source = await newSource('github'), at = `/v1/hook-sources/${source.id}`;
        const rotated = await source.api.post(`${at}/rotate-secret`);
        assert.equal(rotated.status, 200, rotated.text);
        const { body: { secret, previous } } = await source.api.get(`${at}/secret`);
        assert.equal(previous.secret, source.secret);
        const signed = async (key) => (await source.post('{}', await source.sign(key, '{}', { id: randomUUID() }))).status;
        await until(async () => await signed(secret) === 200 && await signed(secret) === 200, 10_000, 'the new secret');
        assert.equal(await signed(source.secret), 200);
        assert.equal(await signed(`${secret}x`), 401);
    });
});

describe('refusals', () => {
    test('test_hook_when_anything_is_wrong_with_who_signs_then_it_is_one_and_the_same_401', async () => {
        const source = await newSource('stripe'), other = await newSource('stripe', { is_active: true }), body = '{"id":"evt_1"}';
        const now = Math.floor(Date.now() / 1000);
        assert.equal((await other.api.patch(`/v1/hook-sources/${other.id}`, { is_active: false })).status, 200);
        await until(async () => (await other.signed(body)).status === 401 && (await other.signed(body)).status === 401);
        const unknown = (headers) => send(`${stack.url}/v1/hooks/${randomUUID()}`, { method: 'POST', body, headers });
        const right = await source.sign(source.secret, body);
        const answers = [
            await source.post(body), await source.post(body, { 'stripe-signature': 't=,v1=' }), await source.post(body, { 'stripe-signature': 'v1=00' }),
            await source.signed(body, { time: now - 301 }), await source.signed(body, { time: now + 303 }),
            await source.post(`${body}\n`, right), await unknown(right), await unknown({}), await other.signed(body),
        ];
        for (const answer of answers) assert.equal(answer.status, 401);
        for (const answer of answers) assert.deepEqual(withoutId(answer), withoutId(answers[0]));
        assert.equal((await source.signed(body, { time: now - 290 })).status, 200);
        assert.equal((await eventsOf(source, 1)).length, 1);
    });

    test('test_hook_when_the_body_is_too_large_then_it_is_413_and_one_of_the_bound_is_kept_whole', async () => {
        const source = await newSource('github'), most = 1024 * 1024;
        const body = Buffer.alloc(most, 'x').toString();
        assert.equal((await source.signed(body, { headers: { 'content-type': 'text/plain' } })).status, 200);
        const [event] = await eventsOf(source, 1);
        assert.equal(event.size, most);
        assert.equal((await octetsOf(source, event.id)).toString(), body);
        assert.equal((await source.signed(`${body}x`)).status, 413);
        const chunked = await fetch(source.url, {
            method: 'POST', duplex: 'half', headers: await source.sign(source.secret, `${body}x`),
            body: new ReadableStream({
                start(controller) {
                    for (let i = 0; i < 17; i++) controller.enqueue(new TextEncoder().encode('x'.repeat(64 * 1024)));
                    controller.close();
                },
            }),
        }).then(({ status }) => status, () => 'closed');
        assert.equal(chunked, 413);
    });

    test('test_hook_when_the_body_is_compressed_then_it_is_415', async () => {
        const source = await newSource('github');
        assert.equal((await source.signed('{}', { headers: { 'content-encoding': 'gzip' } })).status, 415);
        assert.equal((await source.signed('{}', { headers: { 'content-encoding': 'identity' } })).status, 200);
    });

    test('test_hook_when_a_source_sends_too_much_then_it_is_429_and_others_are_not', async () => {
        const [loud, quiet] = [await newSource('github'), await newSource('github')];
        const gateway = await stack.addGateway({ CORTEX_HOOK_SOURCE_PER_S: '1', CORTEX_GATEWAY_PROCESSES: '1' });
        const posted = async ({ id, secret, sign }, n) => send(`${gateway.url}/v1/hooks/${id}`, {
            method: 'POST', body: '{}', headers: await sign(secret, '{}', { id: `delivery-${n}` }),
        });
        await until(async () => (await posted(quiet, 0)).status === 200);
        const statuses = [];
        for (let n = 0; n < 20; n++) statuses.push((await posted(loud, n)).status);
        assert.deepEqual(new Set(statuses), new Set([200, 429]));
        assert.equal((await posted(quiet, 1)).status, 200);
    });

    test('test_hook_when_a_mapping_names_what_is_not_there_then_it_is_422_with_its_pointer', async () => {
        const api = stack.client({ role: 'company_admin' });
        const body = { name: 'x', type: 'github', user_id: randomUUID(), role: 'company_admin' };
        const refused = async (mapping, more = {}) => {
            const answer = await api.post('/v1/hook-sources', { ...body, ...more, mapping });
            assert.equal(answer.status, 422, answer.text);
            return answer.body.errors.map(({ pointer }) => pointer);
        };
        const rule = (fields, command = 'client.create', name = 'a') => ({ name, event: '*', command, fields });
        assert.deepEqual(await refused([rule([], 'client.paint')]), ['/mapping/0/command']);
        assert.deepEqual(await refused([rule([], 'castle.create')]), ['/mapping/0/command']);
        assert.deepEqual(await refused([rule([{ to: 'name', from: '/a' }, { to: 'colour', from: '/b' }])]), ['/mapping/0/fields/1/to']);
        assert.deepEqual(await refused([rule([{ to: 'created_at', from: '/a' }, { to: 'name', from: '/a' }])]), ['/mapping/0/fields/0/to']);
        assert.deepEqual(await refused([rule([{ to: 'name', from: 'a' }])]), ['/mapping/0/fields/0/from']);
        assert.deepEqual(await refused([rule([{ to: 'name' }])]), ['/mapping/0/fields/0/from']);
        assert.deepEqual(await refused([rule([{ to: 'name', value: '' }])]), ['/mapping/0/fields/0/value']);
        assert.deepEqual(await refused([rule([])]), ['/mapping/0/fields']);
        assert.deepEqual(await refused([rule([{ to: 'name', from: '/a' }], 'client.update')]), ['/mapping/0/fields']);
        assert.deepEqual(await refused([rule([{ to: 'title', from: '/a' }], 'task.create')]), ['/mapping/0/fields']);
        const twice = rule([{ to: 'name', from: '/a' }]);
        assert.deepEqual(await refused([twice, twice]), ['/mapping/1/name']);
        assert.deepEqual(await refused([], { event_pointer: 'x' }), ['/event_pointer']);
    });
});

describe('questions', () => {
    test('test_hook_when_a_sender_asks_whether_we_are_there_then_it_is_answered_and_nothing_is_kept', async () => {
        const slack = await newSource('slack');
        const answer = await slack.signed(JSON.stringify({ type: 'url_verification', token: 't', challenge: '3eZbrw1aB' }));
        assert.deepEqual([answer.status, answer.body], [200, { challenge: '3eZbrw1aB' }]);
        const unsigned = await slack.post(JSON.stringify({ type: 'url_verification', challenge: '3eZbrw1aB' }));
        assert.equal(unsigned.status, 401);
        const bearer = await newSource('bearer');
        assert.deepEqual((await bearer.signed('{"challenge":"abc"}')).body, { challenge: 'abc' });
        const validation = await send(`${bearer.url}?validationToken=${encodeURIComponent('<b>1 2</b>')}`, { method: 'POST' });
        assert.deepEqual([validation.status, validation.text, validation.headers['x-content-type-options']], [200, '<b>1 2</b>', 'nosniff']);
        assert.match(validation.headers['content-type'], /^text\/plain/);
        await sleep(300);
        assert.deepEqual([...await listed(slack), ...await listed(bearer)], []);
    });
});

describe('what is kept', () => {
    test('test_hook_when_the_examples_of_github_come_then_each_is_kept_octet_for_octet', async () => {
        const source = await newSource('github'), sent = new Map();
        const payloads = examples.flatMap(({ name, examples: all }) => all.map((payload) => [name, JSON.stringify(payload, null, 1)]));
        assert.equal(payloads.length, 329);
        for (let at = 0; at < payloads.length; at += 16)
            await Promise.all(payloads.slice(at, at + 16).map(async ([event, body], n) => {
                const answer = await source.signed(body, { event, id: `delivery-${at + n}` });
                assert.equal(answer.status, 200, answer.text);
                sent.set(answer.body.id, [event, body]);
            }));
        assert.equal(sent.size, payloads.length);
        const rows = () => stack.query(`SELECT count(*)::integer AS n FROM hook_event WHERE company_id = '${source.company}'`);
        await until(async () => (await rows())[0].n === payloads.length, 60_000, 'all of them');
        for (const [id, [event, body]] of sent) {
            const { body: kept } = await source.api.get(`/v1/hook-events/${id}`);
            assert.deepEqual([kept.event, kept.size, kept.status], [event, Buffer.byteLength(body), 'unmapped']);
            assert.equal(kept.headers.find(({ name }) => name === 'x-github-event').value, event);
            assert.ok((await octetsOf(source, id)).equals(Buffer.from(body)));
        }
    });

    test('test_hook_when_its_headers_have_secrets_then_these_are_not_kept', async () => {
        const source = await newSource('bearer');
        const { body: { id } } = await source.signed('{"a":1}', { headers: { cookie: 'a=b', 'x-other': 'seen' } });
        await eventsOf(source, 1);
        const { text, body } = await source.api.get(`/v1/hook-events/${id}`);
        assert.ok(!text.includes(source.secret) && !text.includes('a=b'));
        assert.ok(body.headers.some(({ name, value }) => name === 'x-other' && value === 'seen'));
        assert.deepEqual((await listed(source, '&status=mapped')).length, 0);
        assert.deepEqual((await listed(source, `&status=unmapped&source_id=${source.id}`)).length, 1);
        assert.equal((await stack.client({ company: source.company, role: 'project_manager' }).get('/v1/hook-events')).status, 403);
        assert.equal((await stack.client({ role: 'company_admin' }).get(`/v1/hook-events/${id}/body`)).status, 404);
    });
});

describe('once', () => {
    test('test_hook_when_stripe_sends_an_event_again_with_other_octets_then_it_has_one_effect', async () => {
        const source = await newSource('stripe', { mapping: CREATE_CLIENT });
        const body = (pending) => JSON.stringify({ id: 'evt_42', type: 'customer.created', name: 'Harbour Ltd', pending_webhooks: pending });
        const answers = [await source.signed(body(2)), await source.signed(body(1))];
        await until(async () => (await clientsOf(source)).length > 0);
        answers.push(await source.signed(body(0)));
        assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
        assert.equal(new Set(answers.map(({ body: { id } }) => id)).size, 1);
        await sleep(1000);
        assert.deepEqual((await clientsOf(source)).map(({ name }) => name), ['Harbour Ltd']);
        assert.equal((await listed(source)).length, 1);
        assert.deepEqual((await stack.query(`SELECT id FROM dead_letter WHERE company_id = '${source.company}'`)), []);
    });

    test('test_hook_when_the_workers_die_in_between_then_it_has_one_effect', async () => {
        const source = await newSource('github', { mapping: CREATE_CLIENT });
        await stack.webhooks.kill();
        const names = Array.from({ length: 40 }, (_, n) => `Client ${n}`);
        for (const name of names) assert.equal((await source.signed(JSON.stringify({ name }), { id: name })).status, 200);
        await stack.webhooks.start();
        for (let n = 0; n < 3; n++) {
            await sleep(200);
            await stack.webhooks.kill();
            await stack.worker.kill();
            await Promise.all([stack.webhooks.start(), stack.worker.start()]);
            for (const name of names.slice(0, 10)) assert.equal((await source.signed(JSON.stringify({ name }), { id: name })).status, 200);
        }
        await until(async () => (await clientsOf(source)).length >= names.length, 60_000, 'all clients');
        await sleep(500);
        assert.deepEqual((await clientsOf(source)).map(({ name }) => name).sort(), [...names].sort());
    });
});

describe('the mapping', () => {
    test('test_mapping_when_rules_are_for_an_event_then_each_becomes_a_command_with_the_rights_of_the_source', async () => {
        const user = randomUUID();
        const source = await newSource('github', {
            user_id: user,
            mapping: [
                { name: 'client', event: 'issues', command: 'client.create', fields: [
                    { to: 'name', from: '/issue/title' }, { to: 'payment_terms_days', from: '/issue/days' }, { to: 'notes', value: 'From GitHub' },
                    { to: 'tax_id', from: '/issue/number' }, { to: 'phone', from: '/not/there' }] },
                { name: 'project', event: 'issues', command: 'project.create', fields: [{ to: 'name', from: '/issue/title' }] },
                { name: 'other', event: 'star', command: 'client.create', fields: [{ to: 'name', value: 'Star' }] },
            ],
        });
        const { body: { id } } = await source.signed(JSON.stringify({ issue: { title: 'Roof leaks', days: '14', number: 7 } }), { event: 'issues' });
        await until(async () => (await clientsOf(source)).length === 1);
        const [client] = await clientsOf(source);
        assert.deepEqual([client.name, client.payment_terms_days, client.notes, client.tax_id, client.phone], ['Roof leaks', 14, 'From GitHub', '7', null]);
        await until(async () => (await source.api.get('/v1/projects')).body.data.length === 1);
        const { body: event } = await source.api.get(`/v1/hook-events/${id}`);
        assert.deepEqual([event.status, event.reasons, event.commands.map(({ rule, type }) => [rule, type])],
            ['mapped', [], [['client', 'client.create'], ['project', 'project.create']]]);
        assert.equal(event.commands[0].id, client.id);
        const said = await stack.query(`SELECT actor FROM events WHERE company_id = '${source.company}' AND subject = '${client.id}'`);
        assert.deepEqual(said, [{ actor: user }]);
    });

    test('test_mapping_when_the_role_may_not_do_it_then_the_command_is_refused_when_it_runs', async () => {
        const source = await newSource('github', { role: 'operative', mapping: CREATE_CLIENT });
        const { body: { id } } = await source.signed('{"name":"Nobody"}');
        const event = (await eventsOf(source, 1)).find((one) => one.id === id);
        assert.equal(event.status, 'mapped');
        await until(async () => (await source.api.get(`/v1/operations/${event.commands[0].id}`)).body?.status === 'failed');
        assert.deepEqual(await clientsOf(source), []);
    });

    test('test_mapping_when_the_body_is_a_form_then_its_members_and_its_payload_are_read', async () => {
        const type = { 'content-type': 'application/x-www-form-urlencoded' };
        const source = await newSource('github', { mapping: CREATE_CLIENT });
        await source.signed('name=Harbour+%26+Sons&x=1', { id: 'a', headers: type });
        await source.signed(`payload=${encodeURIComponent('{"name":"Brücke"}')}`, { id: 'b', headers: type });
        await source.signed('name=%zz', { id: 'c', headers: type });
        await until(async () => (await clientsOf(source)).length === 2);
        assert.deepEqual((await clientsOf(source)).map(({ name }) => name).sort(), ['Brücke', 'Harbour & Sons']);
        const [failed] = await listed(source, '&status=failed');
        assert.equal(failed.reasons[0].rule, 'client');
    });

    test('test_mapping_when_it_does_not_fit_then_reasons_say_why_and_a_replay_makes_it_once', async () => {
        const source = await newSource('github', { mapping: CREATE_CLIENT }), at = `/v1/hook-sources/${source.id}`;
        const { body: { id } } = await source.signed('{"title":"Quay"}');
        const [event] = await eventsOf(source, 1);
        assert.deepEqual([event.status, event.reasons], ['failed', [{ rule: 'client', pointer: '/name', detail: 'is required' }]]);
        const mapping = [{ ...CREATE_CLIENT[0], fields: [{ to: 'name', from: '/title' }] }];
        assert.equal((await source.api.patch(at, { mapping })).status, 200);
        for (let n = 0; n < 3; n++) {
            const replayed = await source.api.post(`/v1/hook-events/${id}/replay`);
            assert.equal(replayed.status, 200, replayed.text);
            assert.deepEqual([replayed.body.status, replayed.body.reasons], ['mapped', []]);
            await until(async () => (await clientsOf(source)).length > 0);
        }
        await sleep(500);
        assert.deepEqual((await clientsOf(source)).map(({ name }) => name), ['Quay']);
        assert.equal((await source.api.post(`/v1/hook-events/${randomUUID()}/replay`)).status, 404);
        assert.equal((await source.api.delete(at)).status, 204);
        assert.equal((await source.api.post(`/v1/hook-events/${id}/replay`)).status, 409);
    });

    test('test_preview_when_asked_then_it_shows_what_would_become_and_stores_nothing', async () => {
        const source = await newSource('github', { mapping: CREATE_CLIENT }), at = `/v1/hook-sources/${source.id}/preview`;
        const headers = [{ name: 'X-GitHub-Event', value: 'ping' }];
        const good = await source.api.post(at, { headers, content: '{"name":"Pier"}' });
        assert.deepEqual([good.status, good.body], [200, {
            event: 'ping', status: 'mapped', reasons: [],
            commands: [{ type: 'client.create', rule: 'client', body: { name: 'Pier' }, subject: null, parent: null }],
        }]);
        const bad = await source.api.post(at, { headers, content: '{"name":' });
        assert.deepEqual([bad.status, bad.body.status, bad.body.reasons[0].rule], [200, 'failed', 'client']);
        assert.equal((await stack.client({ role: 'company_admin' }).post(at, { content: '{}' })).status, 404);
        await sleep(300);
        assert.deepEqual([...await listed(source), ...await clientsOf(source)], []);
    });
});

describe('the broker', () => {
    test('test_hook_when_the_broker_is_away_then_it_is_503_and_later_200_and_kept', async () => {
        const source = await newSource('github');
        await stack.broker.stop();
        const away = await source.signed('{"a":1}', { id: 'away' });
        assert.equal(away.status, 503);
        await stack.broker.start();
        await until(async () => (await source.signed('{"a":1}', { id: 'away' })).status === 200, 60_000, 'the broker');
        assert.equal((await eventsOf(source, 1)).length, 1);
    });
});
