// What the log says of requests: one line each, by what an operator looks for, in the worker by the same correlation, without a secret; and
// a log file that is full is renamed while the processes go on writing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

import { expectProblem, expectStatus, newProject } from './api/expect.mjs';
import { newAgent, send } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';
import { exchange } from '../lib/raw.mjs';
import { root } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';

const FULL = 128 * 1024;

// A WebSocket whose request has an id.
class WebSocketWithId extends WebSocket {
    constructor(url, protocols) {
        super(url, protocols, { headers: { 'X-Request-Id': 'line-ws' } });
    }
}

let stack;
before(async () => (stack = await startStack('access_log', { gateway: { CORTEX_GATEWAY_PROCESSES: '1' } })));
after(() => stack?.stop());

const linesIn = (text, event) => text.split('\n').filter((line) => line.includes(`"event":"${event}"`)).map((line) => JSON.parse(line));
const linesOf = (program, event) => linesIn(readFileSync(program.log, 'utf8'), event);

// All lines with one of these correlations, once there are so many.
async function answered(correlations, count = correlations.length, program = stack.gateway, event = 'http.answered') {
    const found = () => linesOf(program, event).filter(({ correlation }) => correlations.includes(correlation));
    await until(() => found().length >= count, 15_000, `${count} lines ${event}`);
    return found();
}

describe('a line a request', () => {
    test('test_each_request_then_one_line_with_method_route_status_duration_bytes_company_user_and_correlation', async () => {
        const user = randomUUID(), company = await stack.addCompany();
        const api = stack.client({ company, user });
        const id = (name) => ({ 'x-request-id': `line-${name}` });
        const { id: project } = (await api.post('/v1/projects', { name: 'Bridge' }, id('made'))).body;
        const read = await api.get(`/v1/projects/${project}`, id('read'));
        await api.head(`/v1/projects/${project}`, id('head'));
        await api.get('/v1/projects?limit=1', id('list'));
        await api.get(`/v1/projects/${project}`, { ...id('same'), 'if-none-match': read.headers.etag });
        await api.patch(`/v1/projects/${project}`, { name: 7 }, id('wrong'));
        await api.get('/v1/nothing/here?limit=1', id('lost'));
        await api.delete(`/v1/projects/${project}`, id('gone'));
        await send(`${stack.url}/v1/projects`, { headers: id('nobody') });
        await send(`${stack.url}/v1/projects`, { method: 'OPTIONS', headers: id('options') });
        const expected = {
            made: ['POST', '/v1/projects', 201], read: ['GET', '/v1/projects/{id}', 200], head: ['HEAD', '/v1/projects/{id}', 200],
            list: ['GET', '/v1/projects', 200], same: ['GET', '/v1/projects/{id}', 304], wrong: ['PATCH', '/v1/projects/{id}', 422],
            lost: ['GET', undefined, 404], gone: ['DELETE', '/v1/projects/{id}', 204], nobody: ['GET', '/v1/projects', 401],
            options: ['OPTIONS', undefined, 204],
        };
        const lines = await answered(Object.keys(expected).map((name) => `line-${name}`));
        for (const [name, [method, route, status]] of Object.entries(expected)) {
            const mine = lines.filter(({ correlation }) => correlation === `line-${name}`);
            assert.equal(mine.length, 1, name);
            const [line] = mine, isKnown = !['nobody', 'lost', 'options'].includes(name);
            assert.deepEqual([line.method, line.route, line.status], [method, route, status], name);
            assert.deepEqual([line.company, line.user], isKnown ? [company, user] : [null, null], name);
            assert.equal(typeof line.duration_ms, 'number');
            assert.equal(line.level, 'info');
            assert.equal(line.peer, '127.0.0.1');
        }
        const bytes = Object.fromEntries(lines.map((line) => [line.correlation, line.bytes]));
        assert.equal(bytes['line-read'], Buffer.byteLength(read.text));
        assert.deepEqual([bytes['line-head'], bytes['line-same'], bytes['line-gone']], [0, 0, 0]);
        assert.equal(lines.find(({ correlation }) => correlation === 'line-lost').path, '/v1/nothing/here');
    });

    test('test_a_request_that_is_refused_before_it_is_read_then_a_line_all_the_same', async () => {
        const count = () => linesOf(stack.gateway, 'http.answered').filter(({ status }) => status >= 400).length;
        for (const [bytes, status, method, path] of [['NONSENSE\r\n\r\n', 400, null, null],
            ['PUT /v1/a?b=c HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', 400, 'PUT', '/v1/a'],
            ['POST /v1/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n', 413, 'POST', '/v1/a'],
            [`PATCH /v1/a HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, 431, 'PATCH', '/v1/a'],
            ['CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n', 501, 'other', null]]) {
            const before = count();
            const { text } = await exchange(stack.address, bytes);
            assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
            await until(() => count() === before + 1, 15_000, `a line of ${status}`);
            const line = linesOf(stack.gateway, 'http.answered').filter(({ status: s }) => s >= 400).at(-1);
            assert.deepEqual([line.status, line.method, line.path], [status, method, path]);
        }
    });

    test('test_streams_and_websockets_then_a_line_when_they_end_with_who_it_was_and_all_bytes', async () => {
        const company = await stack.addCompany(), user = randomUUID();
        const api = stack.client({ company, user }), agent = newAgent(1);
        const request = send(`${stack.url}/v1/events`, {
            agent, headers: { authorization: `Bearer ${api.token}`, accept: 'text/event-stream', 'x-request-id': 'line-sse' } }).catch(() => {});
        const socket = new Centrifuge(`ws://${stack.address}/connection/websocket`, { token: api.token, websocket: WebSocketWithId });
        const isConnected = new Promise((resolve) => socket.on('connected', resolve));
        socket.connect();
        await isConnected;
        const { data } = await socket.rpc('GET /v1/projects', { headers: { 'X-Request-Id': 'line-rpc' } });
        assert.equal(data.status, 200);
        await newProject(api);
        await until(() => linesOf(stack.gateway, 'http.answered').some(({ correlation }) => correlation === 'line-rpc'), 15_000, 'the rpc');
        assert.equal(linesOf(stack.gateway, 'http.answered').some(({ protocol }) => protocol === 'ws' || protocol === 'sse'), false);
        socket.disconnect();
        agent.destroy();
        await request;
        const lines = await answered(['line-sse', 'line-ws', 'line-rpc']);
        const [sse, ws, rpc] = ['line-sse', 'line-ws', 'line-rpc'].map((name) => lines.find(({ correlation }) => correlation === name));
        assert.deepEqual([sse.method, sse.route, sse.status, sse.protocol], ['GET', '/v1/events', 200, 'sse']);
        assert.deepEqual([ws.method, ws.route, ws.status, ws.protocol], ['GET', '/connection/websocket', 101, 'ws']);
        assert.deepEqual([rpc.method, rpc.route, rpc.status, rpc.peer], ['GET', '/v1/projects', 200, 'rpc']);
        for (const line of [sse, ws, rpc]) assert.deepEqual([line.company, line.user], [company, user]);
        assert.ok(sse.bytes > 200 && ws.bytes > 200 && sse.duration_ms > 0 && ws.duration_ms > 0);
        assert.equal(lines.length, 3);
    });

    test('test_the_worker_logs_a_command_with_the_correlation_company_and_user_of_its_request', async () => {
        const company = await stack.addCompany(), user = randomUUID();
        const api = stack.client({ company, user });
        const made = await api.post('/v1/projects', { name: 'x' }, { 'x-request-id': 'line-1.2.3' });
        await api.patch(`/v1/projects/${made.body.id}`, { status: 'completed' }, { 'x-request-id': 'line-refused' });
        await api.post('/v1/projects', { name: 'x' }, { 'x-request-id': 'line-late', prefer: 'respond-async' });
        const { headers } = await api.post('/v1/projects', { name: 'x' });
        const correlations = ['line-1.2.3', 'line-refused', 'line-late', headers['x-request-id']];
        const done = await answered(correlations, 4, stack.worker, 'command.done');
        assert.deepEqual(new Set(done.map(({ correlation }) => correlation)), new Set(correlations));
        for (const line of done) assert.deepEqual([line.company, line.user, typeof line.duration_ms], [company, user, 'number']);
        const of = (name) => done.find(({ correlation }) => correlation === name);
        assert.deepEqual([of('line-1.2.3').type, of('line-1.2.3').status], ['project.create', 'ok']);
        assert.deepEqual([of('line-refused').type, of('line-refused').status], ['project.update', 'illegal-transition']);
        assert.equal(of(headers['x-request-id']).command, headers.location.split('/').pop());
        await answered(correlations);
    });

    test('test_secrets_of_a_request_then_none_of_them_is_in_a_log', async () => {
        const api = stack.client();
        const { ticket } = expectStatus(await api.post('/v1/tickets', {}), 201).body;
        const marks = ['s3cret-query', 's3cret-token', 's3cret-body', 's3cret-key', 's3cret-user', api.token.split('.')[2], ticket];
        await send(`${stack.url}/v1/events?ticket=${ticket}`);
        await send(`${stack.url}/v1/events?ticket=${marks[0]}`);
        await send(`${stack.url}/v1/projects?access_token=${marks[0]}`);
        await send(`${stack.url}/v1/nowhere?access_token=${marks[0]}`);
        await send(`${stack.url}/v1/projects`, { headers: { authorization: `Bearer ${marks[1]}`, cookie: marks[1] } });
        await api.post('/v1/projects', { name: marks[2], wrong: marks[2] }, { 'idempotency-key': marks[3] });
        await api.post('/v1/projects', `{"name": "${marks[2]}`);
        await exchange(stack.address, `GET http://${marks[4]}:x@${stack.address}/v1/a HTTP/1.1\r\nHost: ${stack.address}\r\nConnection: close\r\n\r\n`);
        await api.get('/v1/projects', { 'x-request-id': 'line-last' });
        await answered(['line-last']);
        for (const program of [stack.gateway, stack.worker])
            for (const mark of marks) assert.equal(readFileSync(program.log, 'utf8').includes(mark), false, mark);
    });
});

describe('slow requests, and none', () => {
    test('test_a_slow_answer_then_its_line_is_a_warning_but_not_where_the_client_asked_to_wait', async () => {
        const { url, program } = await stack.addGateway({ CORTEX_SLOW_MS: '200', CORTEX_GATEWAY_PROCESSES: '1' });
        const company = await stack.addCompany();
        const api = stack.client({ company }, undefined, url);
        const position = (await api.get('/v1/events')).body.next;
        await api.get(`/v1/events?after=${position}`, { 'x-request-id': 'line-waits', prefer: 'wait=1' });
        await stack.run(`ALTER TABLE project ADD COLUMN IF NOT EXISTS slow boolean;
            CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END';
            CREATE TRIGGER slow BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION slow()`);
        try {
            await newProject({ post: (path, body) => api.post(path, body, { 'x-request-id': 'line-slow' }) });
        } finally {
            await stack.run('DROP TRIGGER slow ON project; DROP FUNCTION slow; ALTER TABLE project DROP COLUMN slow');
        }
        const lines = await answered(['line-waits', 'line-slow'], 2, program);
        const [waits, slow] = ['line-waits', 'line-slow'].map((name) => lines.find(({ correlation }) => correlation === name));
        assert.deepEqual([slow.level, slow.duration_ms >= 1000], ['warn', true]);
        assert.deepEqual([waits.level, waits.duration_ms >= 900], ['info', true]);
    });

    test('test_a_client_that_leaves_before_its_answer_then_its_line_says_499', async () => {
        const api = stack.client(), position = (await api.get('/v1/events')).body.next;
        const socket = connect(Number(stack.address.split(':')[1]), '127.0.0.1');
        socket.write(`GET /v1/events?after=${position} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.token}\r\nX-Request-Id: line-left\r\nPrefer: wait=30\r\n\r\n`);
        await new Promise((next) => setTimeout(next, 200)); // it may be answered with 499 later, but not with anything else
        socket.resetAndDestroy();
        const [line] = await answered(['line-left']);
        assert.deepEqual([line.status, line.route], [499, '/v1/events']);
        const unfinished = connect(Number(stack.address.split(':')[1]), '127.0.0.1');
        unfinished.end(`POST /v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.token}\r\nX-Request-Id: line-half\r\nContent-Length: 9\r\n\r\n{`);
        const [half] = await answered(['line-half']);
        assert.deepEqual([half.status, half.method, half.route], [499, 'POST', '/v1/projects']);
    });

    test('test_no_lines_are_wanted_then_there_are_none', async () => {
        const { url, program } = await stack.addGateway({ CORTEX_ACCESS_LOG_PER_S: '0', CORTEX_GATEWAY_PROCESSES: '1' });
        expectProblem(await send(`${url}/v1/projects`), 401, 'unauthenticated');
        await until(() => linesOf(program, 'parent.ready').length > 0, 15_000, 'the gateway');
        assert.equal(linesOf(program, 'http.answered').length, 0);
    });
});

describe('a log file that is full', () => {
    test('test_requests_while_it_is_renamed_then_each_line_is_there_once_and_the_disk_is_bounded', async () => {
        const { url, program } = await stack.addGateway({ CORTEX_LOG_FILE_BYTES: `${FULL}`, CORTEX_GATEWAY_PROCESSES: '2' });
        const folder = dirname(program.log), name = basename(program.log);
        const files = () => readdirSync(folder).filter((file) => file === name || file.startsWith(`${name}.`));
        let sent = 0;
        const ask = async () => {
            const correlation = `many-${sent++}`;
            assert.equal((await send(`${url}/healthz`, { headers: { 'x-request-id': correlation } })).status, 200);
        };
        const askMany = async (count) => Promise.all(Array.from({ length: 16 }, async () => {
            for (let i = 0; i < count / 16; i++) await ask();
        }));
        await until(async () => (await askMany(160), files().length >= 3), 60_000, 'two full files');
        await until(() => {
            const seen = files().flatMap((file) => linesIn(readFileSync(join(folder, file), 'utf8'), 'http.answered'))
                .map(({ correlation }) => correlation).filter((correlation) => correlation.startsWith('many-'));
            assert.equal(new Set(seen).size, seen.length, 'no line is there twice');
            return seen.length === sent;
        }, 15_000, `${sent} lines`);
        assert.deepEqual(files().filter((file) => !/\.log(\.[123])?$/.test(file)), []);
        for (let i = 0; i < 3; i++) await askMany(1600);
        const size = files().reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
        assert.ok(files().length === 4 && size < 4 * (FULL + 70_000), `${files()}: ${size}`);
    });

    // RabbitMQ and PostgreSQL keep the file that they were started with, so another process writes it.
    test('test_the_log_of_a_server_then_it_is_renamed_between_two_lines_and_none_is_lost', async () => {
        const folder = mkdtempSync(join(tmpdir(), 'cortex-log-'));
        const program = join(root, 'deploy/local/lib/keep_log.pl');
        const keeper = spawn('perl', [program, 'part.log', '200000'], { cwd: folder, stdio: ['pipe', 'ignore', 'inherit'] });
        const ended = once(keeper, 'exit');
        for (let i = 0; i < 8000; i++) {
            keeper.stdin.write(`${'x'.repeat(60 + (i % 40))} ${i}\n`);
            if (i % 50 === 0) await new Promise((next) => setImmediate(next));
        }
        keeper.stdin.end();
        assert.deepEqual(await ended, [0, null]);
        const files = readdirSync(folder).sort().reverse();
        assert.ok(files.length > 1 && files.every((file) => /^part\.log(\.[123])?$/.test(file)), `${files}`);
        const lines = files.filter((file) => file !== 'part.log').concat('part.log')
            .flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n').slice(0, -1));
        const numbers = lines.map((line) => Number(/^x+ (\d+)$/.exec(line)[1]));
        numbers.forEach((number, at) => assert.equal(number, numbers[0] + at));
        assert.equal(numbers.at(-1), 7999);
        rmSync(folder, { recursive: true });
    });
});
