// A new user's first way: a page from another origin, in a real browser, lists, creates, watches and exports (browser/page.mjs).
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { parseCsv } from '../lib/exports.mjs';
import { until } from '../lib/process.mjs';
import { root } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';

const files = {
    '/': ['text/html', 'tests/e2e/browser/page.html'],
    '/page.mjs': ['text/javascript', 'tests/e2e/browser/page.mjs'],
    '/centrifuge.js': ['text/javascript', 'tests/node_modules/centrifuge/dist/centrifuge.js'], // the published build for browsers
};

let browser, site, stack;
before(async () => {
    site = createServer((request, response) => {
        const [type, path] = files[request.url];
        response.writeHead(200, { 'content-type': type }).end(readFileSync(join(root, path)));
    });
    await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
    stack = await startStack('browser', { gateway: { CORTEX_CORS_ORIGINS: `http://LOCALHOST:${site.address().port}/`, CORTEX_MAX_BODY: '64k' } });
    browser = await Browser.start();
});
after(async () => {
    await browser?.stop();
    site?.close();
    site?.closeAllConnections();
    await stack?.stop();
});

// The allowed origin says `localhost`; a page of 127.0.0.1 is of another one.
async function open({ host = 'localhost', token = undefined } = {}) {
    const company = await stack.addCompany('In a browser');
    const mine = token ?? stack.token({ company });
    const page = await browser.open(`http://${host}:${site.address().port}/#${new URLSearchParams({ api: stack.url, token: mine, company })}`);
    return { page, company, api: stack.client({ company }) };
}

// Sent again, as the README says, when it is not done in time or cannot be done now.
function create(api, name) {
    const key = { 'idempotency-key': randomUUID() };
    return until(async () => (await api.post('/v1/projects', { name }, key)).status === 201, 60_000, `the project ${name}`);
}

describe('a page from another origin', () => {
    test('test_page_lists_creates_and_changes_then_it_may_read_all_that_it_needs', async () => {
        const { page, api } = await open();
        for (let i = 1; i <= 5; i++) await create(api, `Project ${i}`);
        assert.deepEqual((await page.run(() => list())).sort(), ['Project 1', 'Project 2', 'Project 3', 'Project 4', 'Project 5']);
        const made = await page.run(() => create('Bridge'));
        assert.deepEqual([made.statuses, made.replayed], [[201, 201], 'true']);
        const { status, etag } = await page.run((place, seen) => rename(place, 'Harbour bridge', seen), made.place, made.etag);
        assert.equal(status, 200);
        // Somebody else was faster: the page learns which version there is.
        assert.deepEqual(await page.run((place, seen) => rename(place, 'Bridge', seen), made.place, made.etag), { status: 412, etag });
        assert.ok((await page.run(() => shown())).includes('Harbour bridge'));
    });

    test('test_page_watches_by_event_source_then_it_hears_each_event_once_over_a_break', async () => {
        const { page, api } = await open();
        await page.run(() => { watch(); });
        await until(() => page.run(() => watching.ready === 1));
        await create(api, 'First');
        await until(() => page.run(() => watching.heard.length === 1));
        await stack.gateway.kill();
        await stack.gateway.start();
        await create(api, 'Second');
        await until(() => page.run(() => watching.ready === 2));
        await create(api, 'Third');
        await until(() => page.run(() => watching.heard.length >= 3));
        const { heard, tickets } = await page.run(() => watching);
        assert.deepEqual(heard, ['First', 'Second', 'Third']);
        assert.equal(tickets, 2);
        assert.deepEqual(await page.run(() => shown()), heard);
    });

    for (const transport of ['websocket', 'http_stream', 'sse'])
        test(`test_page_watches_by_${transport}_of_centrifuge_then_it_hears_what_it_does`, async () => {
            const { page } = await open();
            assert.deepEqual(await page.run((way) => realTime(way, 'Tower'), transport), { status: 201, type: 'project.created' });
        });

    test('test_page_exports_then_the_file_has_its_name_and_parts_of_it_can_be_had', async () => {
        const { page, api } = await open();
        for (const name of ['One', 'Brücke']) await create(api, name);
        const { name, type, text, part, range } = await page.run(() => download());
        assert.match(name, /^projects-\d{4}-\d\d-\d\d\.csv$/);
        assert.match(type, /^text\/csv/);
        const [header, ...rows] = parseCsv(text);
        assert.deepEqual(rows.map((row) => row[header.indexOf('name')]).sort(), ['Brücke', 'One']);
        assert.deepEqual([part, range], [206, `bytes 0-1/${Buffer.byteLength(text)}`]);
    });

    test('test_page_is_refused_then_it_can_read_why', async () => {
        const { page } = await open();
        const why = async (path, options = {}) => page.run((...request) => refusal(...request), path, options);
        const json = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
        assert.deepEqual(await why('/v1/projects/x'), { status: 404, type: '/problems/not-found', id: true, retry: null });
        assert.deepEqual(await why('/v1/projects', { ...json, body: '{"name":""}' }), { status: 422, type: '/problems/validation', id: true, retry: null });
        assert.deepEqual(await why('/v1/projects', { ...json, body: `"${'x'.repeat(100_000)}"` }), { status: 413, type: '/problems/body-too-large', id: true, retry: null });
        assert.deepEqual(await why('/v1/projects', { headers: { 'X-Request-Id': 'x'.repeat(100_000) } }), { status: 431, type: '/problems/headers-too-large', id: true, retry: null });
        const stranger = await open({ token: 'rubbish' });
        assert.deepEqual(await stranger.page.run(() => refusal('/v1/projects')), { status: 401, type: '/problems/unauthenticated', id: true, retry: null });
    });

    test('test_page_of_an_origin_that_is_not_allowed_then_it_reads_nothing', async () => {
        const { page, api } = await open({ host: '127.0.0.1' });
        await create(api, 'Secret');
        await assert.rejects(page.run(() => list()), /Failed to fetch/);
        await page.run(() => { watch(); });
        for (const transport of ['websocket', 'http_stream', 'sse'])
            await assert.rejects(page.run((way) => realTime(way, 'Tower'), transport), /transport closed/);
        assert.equal(await page.run(() => watching.tickets), 0);
        assert.deepEqual(await page.run(() => shown()), []);
        assert.equal((await api.get('/v1/projects')).body.data.length, 1);
    });
});
