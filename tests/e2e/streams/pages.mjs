import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { newProject, newTask } from '../api/expect.mjs';
import { Stream } from './clients.mjs';

const seqs = ({ body }) => body.data.map(({ seq }) => seq);
const path = (after, more = '') => `/v1/events?after=${after}${more}`;

export function pages(shared) {
    const aCompany = async (projects = 0) => {
        const company = await shared.stack.addCompany('Polled');
        const api = shared.stack.client({ company });
        const made = [];
        while (made.length < projects) made.push(await newProject(api));
        return { company, who: { company }, api, projects: made };
    };

    describe('pages of events', () => {
        test('test_page_when_read_to_the_end_then_every_event_once_and_the_same_text_as_the_stream_s', async () => {
            const { who, api } = await aCompany(5);
            const stream = await Stream.open(shared.stack, { who, query: '?after=0' });
            await stream.next();
            const streamed = (await stream.take(5)).map(({ data }) => data);
            stream.close();
            const read = [];
            let page = { body: { next: 0, more: true } };
            for (const expected of [2, 2, 1]) {
                assert.ok(page.body.more);
                page = await api.get(path(page.body.next, '&limit=2'));
                assert.equal(page.status, 200);
                assert.equal(page.body.data.length, expected);
                read.push(...page.body.data);
            }
            assert.equal(page.body.more, false);
            assert.deepEqual(read, streamed);
            const end = await api.get(path(page.body.next));
            assert.deepEqual(end.body, { data: [], next: page.body.next, more: false });
        });

        test('test_page_when_asked_in_different_words_then_as_accept_and_after_say', async () => {
            const { api } = await aCompany(1);
            const json = [[path(0), '*/*'], ['/v1/events', 'application/json'], [path(0), undefined],
                ['/v1/events', 'text/event-stream;q=0.5, application/*'], ['/v1/events', undefined], ['/v1/events', '*/*'],
                ['/v1/events', 'text/*, */*;q=0.8'], [path(0), 'text/event-stream, application/json']];
            for (const [where, accept] of json) {
                const answer = await api.get(where, accept ? { accept } : {});
                assert.equal(answer.headers['content-type'], 'application/json', `${where} ${accept}`);
                assert.deepEqual(seqs(answer), [1]);
            }
        });

        test('test_page_when_nothing_is_new_then_304_for_its_etag', async () => {
            const { api } = await aCompany(1);
            const page = await api.get(path(0));
            assert.equal(page.headers['cache-control'], 'private, no-cache');
            assert.equal(page.headers.etag, `"${page.body.next}"`);
            assert.equal((await api.get(path(0), { 'if-none-match': page.headers.etag })).status, 304);
            await newProject(api);
            assert.deepEqual(seqs(await api.get(path(0), { 'if-none-match': page.headers.etag })), [1, 2]);
            const head = await api.head(path(0));
            assert.equal(head.status, 200);
            assert.equal(head.text, '');
        });

        test('test_page_when_of_projects_then_theirs_and_a_position_that_moves_on_without_them', async () => {
            const { api, projects: [one, two, three] } = await aCompany(3);
            const channels = `&channels=project:${one.id},project:${three.id}`;
            const page = await api.get(path(0, channels));
            assert.deepEqual(seqs(page), [1, 3]);
            await newTask(api, two);
            const next = await api.get(path(page.body.next, channels));
            assert.deepEqual(seqs(next), []);
            assert.equal(next.body.next.split(':')[1], '4');
            const stranger = await aCompany(1);
            assert.equal((await api.get(path(0, `&channels=project:${stranger.projects[0].id}`))).status, 403);
            assert.equal((await api.get(path(0, `&channels=company:${stranger.company}`))).status, 403);
        });

        test('test_page_when_its_position_is_too_old_or_of_another_stream_then_410', async () => {
            const { company, api } = await aCompany(3);
            // The way on, for who has read everything anew: behind all that there is.
            for (const more of ['', `&channels=company:${company}`]) {
                const lost = await api.get(path('other:1', more));
                assert.equal(lost.status, 410);
                const [, current] = lost.headers.link.match(/^<(\?.*)>; rel="current"$/);
                assert.deepEqual((await api.get(`/v1/events${current}`)).body.data, []);
                assert.match(current, more ? /^\?channels=company:\S+&after=\S+:3$/ : /^\?after=\S+:3$/);
            }
            await shared.stack.run(`DELETE FROM events WHERE company_id = '${company}' AND seq <= 2`);
            const gone = await api.get(path(1));
            assert.equal(gone.status, 410);
            assert.equal(gone.body.type, '/problems/position-gone');
            assert.deepEqual(seqs(await api.get(path(2))), [3]);
        });

        test('test_page_when_its_position_is_past_the_last_event_then_410_and_the_way_on', async () => {
            const { api } = await aCompany(1);
            const { next } = (await api.get(path(0))).body;
            for (const more of ['', '&limit=1']) {
                assert.equal((await api.get(path(next, more))).status, 200);
                for (const after of [2, next.replace(':1', ':2')]) {
                    const gone = await api.get(path(after, more), { prefer: 'wait=5' });
                    assert.equal(gone.status, 410);
                    assert.match(gone.body.detail, /past the company's last event/);
                    assert.match(gone.headers.link, new RegExp(`after=${next}>; rel="current"`));
                }
            }
        });

        test('test_page_when_its_parameters_are_wrong_then_400', async () => {
            const { api } = await aCompany();
            for (const query of ['after=x', 'after=-1', 'after=1:', 'after=', 'after=0&limit=0', 'after=0&limit=201', 'after=0&limit=x',
                'after=0&channels=nothing', `after=${'9'.repeat(30)}`, `after=${'e'.repeat(40)}:1`]) {
                const answer = await api.get(`/v1/events?${query}`, { accept: 'application/json' });
                assert.equal(answer.status, 400, query);
            }
        });

        test('test_page_when_waited_for_then_answered_by_the_next_event', async () => {
            const { api, projects: [project] } = await aCompany(2);
            let { body: { next } } = await api.get(path(0));
            for (const more of ['', `&channels=project:${project.id}`]) {
                const waiting = api.get(path(next, more), { prefer: 'wait=30' });
                const task = await newTask(api, project);
                const answer = await waiting;
                assert.equal(answer.headers['preference-applied'], 'wait=30');
                assert.deepEqual(answer.body.data.map(({ id }) => id), [task.id]);
                next = answer.body.next;
            }
        });

        test('test_page_when_waited_for_in_vain_then_empty_after_that_time', async () => {
            const { api } = await aCompany(1);
            const { body: { next } } = await api.get(path(0));
            const began = Date.now();
            const answer = await api.get(path(next), { prefer: 'wait=1' });
            assert.deepEqual(answer.body, { data: [], next, more: false });
            assert.ok(Date.now() - began >= 990);
        });

        test('test_page_when_its_client_leaves_while_waiting_then_nothing_happens', async () => {
            const { api } = await aCompany(1);
            const { body: { next } } = await api.get(path(0));
            await assert.rejects(api.call('GET', path(next), { headers: { prefer: 'wait=30' }, timeout: 300 }));
            await newProject(api);
            assert.equal((await api.get(path(next))).body.data.length, 1);
        });
    });
}
