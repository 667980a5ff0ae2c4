import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';

import { startChild } from '../../lib/children.mjs';
import { Load } from '../../lib/load.mjs';
import { until } from '../../lib/process.mjs';
import { newProject, newTask } from '../api/expect.mjs';
import { Stream, eventSource } from './clients.mjs';

const seqs = (events) => events.map(({ data }) => data.seq);
const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

export function events(shared) {
    const aCompany = async () => {
        const company = await shared.stack.addCompany('Streamed');
        return { company, who: { company }, api: shared.stack.client({ company }) };
    };

    describe('server-sent events', () => {
        test('test_stream_when_opened_then_a_position_and_each_event_as_it_happens', async () => {
            const { company, who, api } = await aCompany();
            const stream = await Stream.open(shared.stack, { who, query: `?channels=company:${company}` });
            assert.equal(stream.status, 200);
            assert.equal(stream.headers['content-type'], 'text/event-stream');
            assert.equal(stream.headers['cache-control'], 'private, no-store');
            assert.equal(stream.headers['content-encoding'], undefined);
            assert.ok(stream.headers.vary.includes('Accept'), stream.headers.vary);
            const ready = await stream.next();
            assert.equal(ready.event, 'ready');
            assert.equal(ready.id, `${ready.data.epoch}:0`);
            assert.ok(Number(ready.retry) > 0);
            const project = await newProject(api, { name: 'Tunnel "Süd"\n\tLos 2' });
            const event = await stream.next();
            assert.equal(event.event, 'project.created');
            assert.equal(event.id, `${ready.data.epoch}:1`);
            assert.equal(event.data.type, 'project.created');
            assert.deepEqual(event.data.data, project);
            stream.close();
        });

        test('test_stream_when_no_channel_is_named_then_the_company_s', async () => {
            const { who, api } = await aCompany();
            const stream = await Stream.open(shared.stack, { who });
            await stream.next();
            await newProject(api);
            assert.equal((await stream.next()).data.seq, 1);
            stream.close();
        });

        test('test_stream_when_several_projects_are_asked_for_then_theirs_alone_in_one_order', async () => {
            const { who, api } = await aCompany();
            const [one, two, other] = [await newProject(api), await newProject(api), await newProject(api)];
            const query = `?channels=project:${two.id},project:${one.id}`;
            const stream = await Stream.open(shared.stack, { who, query });
            const { id } = await stream.next();
            for (const project of [one, other, two, other, one]) await newTask(api, project);
            const heard = await stream.take(3);
            stream.close();
            assert.deepEqual(heard.map(({ data }) => data.project), [one.id, two.id, one.id]);
            // What comes before what is known to the last is known too: the middle of it is a position like any other.
            for (const [i, { id: position }] of [{ id }, ...heard].entries()) {
                const back = await Stream.open(shared.stack, { who, query, headers: { 'last-event-id': position } });
                assert.equal((await back.next()).event, 'ready');
                assert.deepEqual(seqs(await back.take(3 - i)), seqs(heard.slice(i)));
                back.close();
            }
        });

        test('test_stream_when_resumed_then_what_was_missed_and_on', async () => {
            const { who, api } = await aCompany();
            const first = await Stream.open(shared.stack, { who });
            await first.next();
            await newProject(api);
            const { id } = await first.next();
            first.close();
            for (let i = 0; i < 3; i++) await newProject(api);
            for (const how of [{ headers: { 'last-event-id': id } }, { query: `?last_event_id=${id}` }, { query: '?after=1' }]) {
                const back = await Stream.open(shared.stack, { who, ...how });
                assert.equal((await back.next()).event, 'ready');
                assert.deepEqual(seqs(await back.take(3)), [2, 3, 4]);
                back.close();
            }
        });

        test('test_stream_when_its_position_leads_nowhere_then_told_to_reload', async () => {
            const { who, api } = await aCompany();
            await newProject(api);
            for (const [i, position] of ['other:0', 'nonsense'].entries()) {
                const stream = await Stream.open(shared.stack, { who, headers: { 'last-event-id': position } });
                const reload = await stream.next();
                assert.equal(reload.event, 'reload');
                assert.equal(reload.data.offset, 1 + i);
                await newProject(api);
                assert.equal((await stream.next()).event, 'project.created');
                stream.close();
            }
        });

        test('test_stream_when_its_position_is_past_the_last_event_then_410_and_the_way_on', async () => {
            const { company, api } = await aCompany();
            await newProject(api);
            const [{ epoch }] = await shared.stack.query(`SELECT epoch FROM company_sequence WHERE company_id = '${company}'`);
            for (const position of ['2', `${epoch}:2`, 'other:2'])
                for (const more of ['', `?channels=company:${company}`]) {
                    const answer = await api.get(`/v1/events${more}`, { accept: 'text/event-stream', 'last-event-id': position });
                    assert.equal(answer.status, 410);
                    assert.equal(answer.body.type, '/problems/position-gone');
                    assert.match(answer.body.detail, /past the company's last event/);
                    const [, current] = answer.headers.link.match(/^<(\?.*)>; rel="current"$/);
                    assert.deepEqual((await api.get(`/v1/events${current}`)).body.data, []);
                }
        });

        test('test_stream_when_not_allowed_then_a_problem_document', async () => {
            const { company, who } = await aCompany();
            const stranger = await shared.stack.addCompany('Stranger');
            const theirs = await newProject(shared.stack.client({ company: stranger }));
            const cases = [
                [{ who, query: `?channels=company:${stranger}` }, 403],
                [{ who, query: `?channels=project:${theirs.id}` }, 403],
                [{ who, query: `?channels=company:${company},company:${stranger}` }, 403],
                [{ who, query: '?channels=everything' }, 400],
                [{ who, query: '?channels=' }, 400],
                [{ who, query: `?channels=${Array(6).fill(`project:${theirs.id}`).join(',')}` }, 400],
                [{ headers: { authorization: 'Bearer nonsense' } }, 401],
                [{ who, headers: { accept: 'text/html' } }, 406],
                [{ who, headers: { accept: 'text/event-stream;q=0, application/json;q=0' } }, 406],
            ];
            for (const [how, status] of cases) {
                const answer = await Stream.open(shared.stack, how);
                assert.equal(answer.status, status, JSON.stringify(how));
                assert.equal(answer.headers['content-type'], 'application/problem+json');
                answer.close();
            }
        });

        test('test_stream_when_asked_with_head_then_its_head_alone', async () => {
            const { who } = await aCompany();
            const head = await Stream.open(shared.stack, { who, method: 'HEAD' });
            assert.equal(head.status, 200);
            assert.equal(head.headers['content-type'], 'text/event-stream');
            assert.equal(head.headers['content-length'], undefined);
            await head.ended;
            assert.equal(head.text, '');
        });

        test('test_stream_when_quiet_then_signs_of_life_with_the_position', async () => {
            const { who, api } = await aCompany();
            const [quiet, busy] = [await newProject(api), await newProject(api)];
            const stream = await Stream.open(shared.stack, { who, query: `?channels=project:${quiet.id}` });
            await stream.next();
            await newTask(api, busy);
            await until(() => stream.comments >= 2 && stream.last.endsWith(':3'), 10_000, 'two signs of life and the position');
            stream.close();
        });

        test('test_stream_when_its_token_expires_then_it_ends', async () => {
            const { company } = await aCompany();
            const stream = await Stream.open(shared.stack, { who: { company, ttl: 1 } });
            await stream.next();
            await stream.ended;
            assert.ok(stream.retry < 1000, 'it is to come back at once, and will hear 401');
        });

        test('test_stream_when_its_reader_stalls_then_cut_off_and_the_others_go_on', async () => {
            const { company, who, api } = await aCompany();
            const other = await Stream.open(shared.stack, { who });
            await other.next();
            const [host, port] = shared.stack.address.split(':');
            const stalled = connect(Number(port), host);
            stalled.write(`GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${shared.stack.token({ company })}\r\n\r\n`);
            await new Promise((resolve) => stalled.once('readable', resolve));
            const gone = new Promise((resolve) => stalled.once('close', resolve));
            stalled.on('error', () => {}); // a reset is how it is cut off
            const description = '\u{1f477}'.repeat(9000); // 36,000 octets
            let created = 0;
            // What the kernel takes on both sides comes on top of the 256 KiB that the gateway keeps.
            const cut = until(async () => /sse.slow/.test(shared.stack.gateway.tail(2000)), 60_000, 'the cut');
            let waiting = true;
            cut.finally(() => (waiting = false)).catch(() => {});
            for (; waiting && created < 600; created += 4) await Promise.all([1, 2, 3, 4].map(() => newProject(api, { description })));
            await cut;
            stalled.resume();
            await gone;
            assert.deepEqual(seqs(await other.take(created)), upTo(created));
            other.close();
        });

        test('test_eventsource_when_cut_off_again_and_again_under_load_then_nothing_is_missed_or_repeated', async () => {
            const { company } = await aCompany();
            const heard = [];
            let restarted;
            const source = eventSource(shared.stack, { company }, '', () => restarted);
            source.addEventListener('project.created', ({ data }) => heard.push(JSON.parse(data).seq));
            await new Promise((resolve) => source.addEventListener('ready', resolve, { once: true }));
            const load = new Load(shared.stack, company, { connections: 8, limit: 300 });
            load.start();
            await until(() => heard.length > 50, 30_000, 'some events');
            let isReady;
            restarted = new Promise((resolve) => (isReady = resolve));
            await shared.stack.gateway.kill();
            await shared.stack.gateway.start();
            isReady();
            await load.finished();
            await until(() => heard.length >= load.accepted.length, 60_000, 'all events');
            source.close();
            assert.deepEqual(heard, upTo(load.accepted.length));
        });

        test('test_curl_when_given_the_address_then_it_simply_works', async () => {
            const { company, api } = await aCompany();
            const curl = startChild('curl', ['--disable', '-sSN', '--noproxy', '*', `${shared.stack.url}/v1/events`, '-H', `Authorization: Bearer ${shared.stack.token({ company })}`,
                '-H', 'Accept: text/event-stream']);
            let text = '';
            curl.stdout.on('data', (part) => (text += part));
            await until(() => text.includes('event: ready'), 10_000, 'the stream');
            await newProject(api);
            await until(() => /id: \S+:1\nevent: project\.created\ndata: \{.*\}\n\n/.test(text), 10_000, 'the event');
            curl.kill();
        });

        test('test_streams_when_the_gateway_drains_then_they_end_with_retry_pages_are_answered_and_the_next_one_goes_on', async () => {
            const { who, api } = await aCompany();
            const streams = await Promise.all(Array.from({ length: 20 }, () => Stream.open(shared.stack, { who })));
            await Promise.all(streams.map((stream) => stream.next()));
            const waiting = api.get('/v1/events?after=0', { prefer: 'wait=30' });
            await new Promise((resolve) => setTimeout(resolve, 300));
            await shared.stack.gateway.stop();
            assert.deepEqual((await waiting).body, { data: [], next: streams[0].last.replace(/\d+$/, '0'), more: false });
            await Promise.all(streams.map((stream) => stream.ended));
            assert.ok(streams.every((stream) => stream.retry === 200), JSON.stringify(streams.map(({ retry }) => retry)));
            await shared.stack.gateway.start();
            await newProject(api);
            const back = await Stream.open(shared.stack, { who, headers: { 'last-event-id': streams[0].last } });
            assert.equal((await back.next()).event, 'ready');
            assert.equal((await back.next()).data.seq, 1);
            back.close();
        });
    });
}
