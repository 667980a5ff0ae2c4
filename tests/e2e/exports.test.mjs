// Exports, and with them long jobs: what the file holds, progress, cancellation.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

import { addProjects, begin, content, ended, expectEachOnce, parseCsv } from '../lib/exports.mjs';
import { Load } from '../lib/load.mjs';
import { until } from '../lib/process.mjs';
import { root } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';
import { readResources } from '../lib/tables.mjs';
import { make } from './api/resources.mjs';

const MANY = 30_000;

let stack;
before(async () => {
    stack = await startStack('exports', { worker: { CORTEX_JOB_PROGRESS_MS: '100', CORTEX_EXPORT_MAX: '32m', CORTEX_EXPORT_SWEEP_MS: '1000' } });
});
after(() => stack?.stop());

async function newCompany() {
    const company = await stack.addCompany();
    return { company, api: stack.client({ company }) };
}

// What is said on a channel, until it is closed.
async function listen(t, company, channel) {
    const heard = [];
    const client = new Centrifuge(`ws://${stack.address}/connection/websocket`, { websocket: WebSocket, token: stack.token({ company }) });
    const subscription = client.newSubscription(channel);
    const outcome = new Promise((resolve) => {
        subscription.on('subscribed', () => resolve('subscribed'));
        subscription.on('unsubscribed', ({ code }) => resolve(code));
    });
    subscription.on('publication', ({ data, offset }) => heard.push({ ...data, offset }));
    subscription.subscribe();
    client.connect();
    t.after(() => client.disconnect());
    return { heard, outcome: await outcome };
}

describe('exports', () => {
    test('test_export_when_csv_is_asked_for_then_it_is_rfc_4180_and_no_formula', async () => {
        const { api } = await newCompany();
        const formulas = ['=HYPERLINK("http://x")', '+1', '-1', '@x', '\t=1', '\r\nx', ' =1', '\u00a0@x', '\u3000\u200b+1', '\ufeff=1',
            '\uff1d1', '\uff0b1', '\uff0d1', '\uff20x', ' \uff1d1', '\ufe66\uff11', '\u22121'];
        const names = ['Harbour, "east"', ...formulas, 'plain', 'a\r\nb', 'Brücke', 'a=1', ' a', '(=1)', '1-1'];
        for (const name of names) assert.equal((await api.post('/v1/projects', { name, budget: 12.5 })).status, 201);
        const id = await begin(api, { resource: 'project' });
        const seen = await ended(api, id);
        assert.equal(seen.status, 'completed');
        assert.equal(seen.rows, names.length);
        const file = await content(api, id);
        assert.equal(seen.bytes, Buffer.byteLength(file.text));
        assert.match(file.headers['content-type'], /^text\/csv/);
        assert.match(file.headers['content-disposition'], /^attachment; filename="projects-\d{4}-\d\d-\d\d\.csv"$/);
        const [header, ...rows] = parseCsv(file.text);
        assert.deepEqual(rows.map((row) => row[header.indexOf('name')]),
            names.map((name) => (formulas.includes(name) ? `'${name}` : name)));
        assert.ok(rows.every((row) => row.length === header.length && row[header.indexOf('budget')] === '12.50'));
    });

    test('test_export_when_a_byte_order_mark_is_asked_for_then_the_csv_begins_with_one_and_ndjson_has_none', async () => {
        const { api } = await newCompany();
        for (const name of ['STRASSE', 'Stra\u00dfe', 'Stra\u00dfle', 'Cafe\u0301 Stra\u1e9ee'])
            assert.equal((await api.post('/v1/projects', { name })).status, 201);
        const id = await begin(api, { resource: 'project', bom: true, filter_text: 'stra\u00dfe' });
        const seen = await ended(api, id);
        assert.deepEqual([seen.status, seen.bom, seen.rows], ['completed', true, 3]);
        const { text } = await content(api, id);
        assert.equal(seen.bytes, Buffer.byteLength(text));
        assert.equal(text[0], '\ufeff');
        assert.equal(text.lastIndexOf('\ufeff'), 0);
        assert.equal(parseCsv(text.slice(1)).length, 4);
        const refused = await api.post('/v1/exports', { resource: 'project', format: 'ndjson', bom: true });
        assert.deepEqual([refused.status, refused.body.errors[0].pointer], [422, '/bom']);
    });

    test('test_export_when_ndjson_is_asked_for_then_each_line_is_what_get_shows', async () => {
        const { api } = await newCompany();
        for (let i = 0; i < 5; i += 1) await api.post('/v1/projects', { name: `P${i}`, description: '=1\n"x"', priority: i ? 'low' : 'high' });
        const list = (await api.get('/v1/projects?priority=low')).body.data;
        const id = await begin(api, { resource: 'project', format: 'ndjson', filter_priority: 'low' });
        assert.equal((await ended(api, id)).rows, 4);
        const file = await content(api, id);
        assert.match(file.headers['content-type'], /^application\/x-ndjson/);
        assert.deepEqual(file.text.trimEnd().split('\n').map((line) => JSON.parse(line)), list);
    });

    test('test_download_when_a_range_is_asked_for_then_that_part_alone', async () => {
        const { company, api } = await newCompany();
        await addProjects(stack, company, 12_000);
        const id = await begin(api, { resource: 'project', bom: true });
        const { bytes } = await ended(api, id);
        const pieces = (await stack.query(`SELECT octet_length(content) AS length FROM export_piece WHERE export_id = '${id}' ORDER BY n`))
            .map(({ length }) => Number(length));
        assert.ok(pieces.length > 2, `${pieces.length} pieces`);
        const path = `/v1/exports/${id}/content`;
        const whole = await api.get(path);
        const file = Buffer.from(whole.text);
        assert.deepEqual([whole.status, file.length, whole.headers['accept-ranges']], [200, bytes, 'bytes']);
        const { etag } = whole.headers;
        assert.match(etag, /^"[^"]+"$/);
        const ask = (range, headers = {}) => api.get(path, { range, ...headers });
        const border = pieces[0];
        const parts = [[0, 2], [0, bytes - 1], [border - 1, border], [border, border], [border - 5, border + pieces[1] + 5],
            [3, border + 7], [bytes - 1, bytes - 1]];
        for (const [first, last] of parts) {
            const part = await ask(`bytes=${first}-${last}`);
            assert.deepEqual([part.status, part.headers['content-range'], Number(part.headers['content-length'])],
                [206, `bytes ${first}-${last}/${bytes}`, last - first + 1]);
            assert.ok(Buffer.from(part.text).equals(file.subarray(first, last + 1)), `${first}-${last}`);
            assert.equal(part.headers.etag, etag);
        }
        const end = await ask('bytes=-100');
        assert.deepEqual([end.status, end.text], [206, file.subarray(-100).toString()]);
        const rest = await ask(`bytes=${border}-`, { 'If-Range': etag });
        assert.deepEqual([rest.status, Buffer.byteLength(rest.text)], [206, bytes - border]);
        for (const [range, headers] of [['bytes=0-1,5-6'], ['bytes=5-1'], ['lines=1-2'], ['bytes=0-1', { 'If-Range': '"other"' }],
            ['bytes=0-1', { 'If-Range': new Date().toUTCString() }]]) {
            const all = await ask(range, headers);
            assert.deepEqual([all.status, all.headers['content-range'], Buffer.byteLength(all.text)], [200, undefined, bytes], range);
        }
        const beyond = await ask(`bytes=${bytes}-`);
        assert.deepEqual([beyond.status, beyond.headers['content-range'], beyond.body.type],
            [416, `bytes */${bytes}`, '/problems/range-not-satisfiable']);
        assert.equal((await ask('bytes=0-1', { 'If-None-Match': etag })).status, 304);
        assert.equal((await ask('bytes=0-1', { 'If-Match': '"other"' })).status, 412);
        const head = await api.head(path, { range: 'bytes=0-1' });
        assert.deepEqual([head.status, Number(head.headers['content-length']), head.text], [200, bytes, '']);
    });

    test('test_export_when_of_tasks_then_filters_and_the_project_count', async () => {
        const { api } = await newCompany();
        const projects = [];
        for (const name of ['A', 'B']) projects.push((await api.post('/v1/projects', { name })).body.id);
        for (const project of projects)
            for (const title of ['one', 'two', '=three'])
                assert.equal((await api.post(`/v1/projects/${project}/tasks`, { title })).status, 201);
        const all = await begin(api, { resource: 'task', format: 'ndjson' });
        assert.equal((await ended(api, all)).rows, 6);
        const some = await begin(api, { resource: 'task', project_id: projects[0], filter_text: 'THREE' });
        assert.equal((await ended(api, some)).rows, 1);
        const [header, row] = parseCsv((await content(api, some)).text);
        assert.equal(row[header.indexOf('title')], "'=three");
        assert.equal(row[header.indexOf('project_id')], projects[0]);
    });

    test('test_export_when_nothing_fits_then_the_file_is_empty_but_for_the_header', async () => {
        const { api } = await newCompany();
        const [csv, ndjson] = [await begin(api, { resource: 'project' }), await begin(api, { resource: 'project', format: 'ndjson' })];
        assert.equal((await ended(api, csv)).rows, 0);
        assert.equal(parseCsv((await content(api, csv)).text).length, 1);
        assert.equal((await ended(api, ndjson)).bytes, 0);
        assert.equal((await content(api, ndjson)).text, '');
    });

    test('test_export_when_the_filters_do_not_fit_the_resource_then_each_is_named', async () => {
        const { api } = await newCompany();
        const refused = await api.post('/v1/exports', { resource: 'project', filter_status: 'todo', filter_priority: 'x',
            project_id: '0000000c-0000-7000-8000-000000000001' });
        assert.equal(refused.status, 422);
        assert.deepEqual(refused.body.errors.map(({ pointer }) => pointer).sort(),
            ['/filter_priority', '/filter_status', '/project_id', '/project_id']);
    });

    test('test_export_of_every_resource_that_has_a_list_when_asked_for_then_its_lines_are_as_get_shows_them', async () => {
        const all = readResources(join(root, 'schemas', 'messages'));
        const exported = all.filter((resource) => resource.verbs.includes('list') && resource.export !== false);
        assert.ok(exported.length >= 15);
        await Promise.all(exported.map(async (resource) => {
            const company = await stack.addCompany(), client = () => stack.client({ company });
            const { made, at } = await make(Object.assign(client, { addUser: () => stack.addUser(company) }), all, resource);
            const [csv, ndjson] = await Promise.all(['csv', 'ndjson'].map((format) => begin(client(), { resource: resource.name, format })));
            assert.deepEqual([await ended(client(), csv), await ended(client(), ndjson)].map(({ status, rows }) => [status, rows]), Array(2).fill(['completed', 1]), resource.name);
            assert.deepEqual(JSON.parse((await content(client(), ndjson)).text), (await client().get(at)).body);
            const file = await content(client(), csv), [header, row] = parseCsv(file.text);
            assert.deepEqual([...header].sort(), Object.keys(made).sort());
            assert.equal(row[header.indexOf('id')], made.id);
            assert.match(file.headers['content-disposition'], new RegExp(`filename="${resource.collection}-`));
        }));
    });

    test('test_export_when_it_is_of_what_is_none_or_by_what_it_has_not_then_each_is_named', async () => {
        const { api } = await newCompany();
        for (const [body, ...pointers] of [[{ resource: 'garden' }, '/resource'], [{ resource: 'export' }, '/resource'], [{ resource: 'company' }, '/resource'],
            [{ resource: 'invoice', filter_assignee_id: '0000000c-0000-7000-8000-000000000001', filter_text: 'x' }, '/filter_assignee_id', '/filter_text'],
            [{ resource: 'rfi', filter_status: 'draft' }, '/filter_status']]) {
            const refused = await api.post('/v1/exports', body);
            assert.equal(refused.status, 422);
            assert.deepEqual(refused.body.errors.map(({ pointer }) => pointer).sort(), pointers);
        }
        const tags = ['=1', 'b"c'];
        assert.equal((await api.post('/v1/documents', { name: 'Plan', file_path: 'x', bytes: 1, tags })).status, 201);
        const id = await begin(api, { resource: 'document' });
        await ended(api, id);
        const [header, row] = parseCsv((await content(api, id)).text);
        assert.deepEqual(JSON.parse(row[header.indexOf('tags')]), tags);
    });

    test('test_export_when_asked_for_by_another_company_then_it_is_not_found', async (t) => {
        const { api } = await newCompany();
        const { company, api: other } = await newCompany();
        const id = await begin(api, { resource: 'project' });
        await ended(api, id);
        for (const path of [`/v1/exports/${id}`, `/v1/exports/${id}/content`]) assert.equal((await other.get(path)).status, 404);
        assert.equal((await other.delete(`/v1/operations/${id}`)).status, 404);
        assert.equal((await other.get(`/v1/operations/${id}`)).body.progress, undefined);
        const spy = await listen(t, company, `operation:${id}`);
        assert.equal(spy.outcome, 103, 'permission denied');
    });

    test('test_export_when_deleted_then_its_content_goes_too', async () => {
        const { company, api } = await newCompany();
        await addProjects(stack, company, 10);
        const id = await begin(api, { resource: 'project' });
        await ended(api, id);
        await until(async () => (await api.delete(`/v1/exports/${id}`)).status === 204, 10_000, 'its end to be published');
        assert.equal((await api.get(`/v1/exports/${id}/content`)).status, 404);
        assert.deepEqual(await stack.query(`SELECT id FROM long_job WHERE id = '${id}'`), []);
        await until(async () => (await stack.query(`SELECT n FROM export_piece WHERE export_id = '${id}'`)).length === 0,
            60_000, 'the pieces to be swept');
    });

    test('test_export_when_it_has_expired_then_the_content_is_gone_and_the_entity_stays', async () => {
        const { company, api } = await newCompany();
        await addProjects(stack, company, 10);
        const id = await begin(api, { resource: 'project' });
        await ended(api, id);
        await stack.run(`UPDATE export SET expires_at = now() - interval '1 second' WHERE id = '${id}'`);
        assert.equal((await api.get(`/v1/exports/${id}/content`)).status, 404);
        assert.equal((await api.get(`/v1/exports/${id}`)).body.status, 'completed');
    });

    test('test_export_when_it_would_be_too_large_then_it_fails_and_says_so', async () => {
        const { company, api } = await newCompany();
        await stack.run(`INSERT INTO project (company_id, id, number, name, description)
            SELECT '${company}', gen_random_uuid(), 'X-' || n, 'X', repeat('x', 9000) FROM generate_series(1, 4000) AS n`);
        const id = await begin(api, { resource: 'project' });
        const seen = await ended(api, id);
        assert.deepEqual([seen.status, seen.error], ['failed', 'result-too-large']);
        const operation = (await api.get(`/v1/operations/${id}`)).body;
        assert.equal(operation.status, 'failed');
        assert.equal(operation.problem.type, '/problems/result-too-large');
        assert.equal((await api.get(`/v1/exports/${id}/content`)).status, 409);
    });

    test('test_export_when_of_many_projects_then_progress_is_heard_while_creates_go_on', async (t) => {
        const { company, api } = await newCompany();
        await addProjects(stack, company, MANY);
        const ids = (await stack.query(`SELECT id FROM project WHERE company_id = '${company}'`)).map((row) => row.id);
        const all = await listen(t, company, `company:${company}`);
        const load = new Load(stack, company, { connections: 4, limit: 1_000_000 });
        load.start();
        const began = Date.now();
        const id = await begin(api, { resource: 'project', format: 'ndjson' });
        const own = await listen(t, company, `operation:${id}`);
        assert.equal(own.outcome, 'subscribed');
        await until(async () => {
            const { body } = await api.get(`/v1/operations/${id}`);
            return body.status === 'running' && body.started_at && body.progress.percent > 0 && body.progress.percent < 100;
        }, 60_000, 'progress of the operation');
        const seen = await ended(api, id);
        const took = Date.now() - began;
        await load.stop();
        assert.equal(seen.status, 'completed');
        const operation = (await api.get(`/v1/operations/${id}`)).body;
        assert.deepEqual([operation.status, operation.progress.percent, operation.result.rows], ['succeeded', 100, seen.rows]);
        expectEachOnce((await content(api, id)).text, ids);
        const words = own.heard.filter(({ type }) => type === 'operation.progress');
        assert.ok(words.length >= 3 && words.length <= took / 100 + 2, `${words.length} words in ${took} ms`);
        assert.ok(words.every(({ data }, i) => i === 0 || data.done >= words[i - 1].data.done));
        await until(() => all.heard.some(({ type, id: of }) => type === 'export.completed' && of === id), 10_000, 'the end as an event');
        const ofExport = all.heard.filter(({ id: of }) => of === id);
        assert.deepEqual(ofExport.map(({ type }) => type), ['export.created', 'export.started', 'export.completed']);
        assert.ok(ofExport.every(({ seq, offset }) => seq > 0 && seq === offset));
        assert.ok(load.accepted.length > 0, 'creates went on');
        t.diagnostic(`${seen.rows} rows, ${seen.bytes} bytes in ${took} ms; ${words.length} words; ${load.accepted.length} creates meanwhile`);
    });

    test('test_export_when_cancelled_in_the_middle_then_it_ends_at_the_next_step', async () => {
        const { company, api } = await newCompany();
        await addProjects(stack, company, MANY);
        const id = await begin(api, { resource: 'project' });
        await until(async () => (await api.get(`/v1/operations/${id}`)).body.progress?.done > 0, 60_000, 'the first step');
        assert.equal((await api.delete(`/v1/exports/${id}`)).status, 409, 'it has not ended');
        const cancelled = await api.delete(`/v1/operations/${id}`);
        assert.equal(cancelled.status, 202, cancelled.text);
        assert.equal(cancelled.body.cancel_asked, true);
        const seen = await ended(api, id, 10_000);
        assert.equal(seen.status, 'cancelled');
        assert.ok(seen.rows < MANY);
        assert.equal((await api.get(`/v1/operations/${id}`)).body.status, 'cancelled');
        assert.equal((await api.get(`/v1/exports/${id}/content`)).status, 409);
        assert.equal((await api.delete(`/v1/operations/${id}`)).status, 409, 'it has ended');
        const [{ n }] = await stack.query(`SELECT count(*) AS n FROM events WHERE subject = '${id}' AND type = 'export.cancelled'`);
        assert.equal(n, 1);
    });
});
