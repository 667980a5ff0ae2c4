import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { Load } from '../../lib/load.mjs';
import { until } from '../../lib/process.mjs';
import { newProject, newTask } from '../api/expect.mjs';
import { newCentrifuge, once } from './clients.mjs';

const CREATES = 500;

export function delivery(shared) {
    const follow = async (company, channels) => {
        const client = newCentrifuge(shared.stack, { token: shared.stack.token({ company }) });
        const heard = {};
        client.connect();
        for (const channel of channels) {
            const subscription = client.newSubscription(channel);
            heard[channel] = [];
            subscription.on('publication', ({ offset, data }) => heard[channel].push({ offset, data }));
            subscription.subscribe();
            await subscription.ready(5000);
        }
        return { client, heard };
    };
    const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

    describe('delivery', () => {
        test(`test_events_when_${CREATES}_creates_run_then_each_client_hears_each_in_order`, async () => {
            const company = await shared.stack.addCompany('Busy');
            const channel = `company:${company}`;
            const followers = await Promise.all(Array.from({ length: 6 }, () => follow(company, [channel]))); // on both processes
            const load = new Load(shared.stack, company, { connections: 16, limit: CREATES });
            load.start();
            await load.finished();
            const created = load.accepted.length;
            for (const { client, heard } of followers) {
                await until(() => heard[channel].length >= created, 20_000, 'all events');
                assert.deepEqual(heard[channel].map(({ offset }) => offset), numbers(1, created));
                assert.deepEqual(heard[channel].map(({ data }) => data.seq), numbers(1, created));
                assert.deepEqual(new Set(heard[channel].map(({ data }) => data.id)), new Set(load.accepted));
                client.disconnect();
            }
        });

        test('test_events_when_of_a_project_then_on_its_channel_and_the_company_s', async () => {
            const company = await shared.stack.addCompany('Two projects');
            const api = shared.stack.client({ company });
            const [one, other] = [await newProject(api), await newProject(api)];
            const channels = [`company:${company}`, `project:${one.id}`, `project:${other.id}`];
            const { client, heard } = await follow(company, channels);
            const task = await newTask(api, one, { title: 'Dig' });
            await newTask(api, other, { title: 'Pour' });
            await api.patch(`/v1/projects/${one.id}/tasks/${task.id}`, { status: 'in-progress' });
            await api.patch(`/v1/projects/${other.id}`, { name: 'Renamed' });
            await until(() => heard[channels[2]].some(({ data }) => data.data.name === 'Renamed'));
            const all = heard[channels[0]];
            assert.deepEqual(all.map(({ offset }) => offset), numbers(3, all.at(-1).offset));
            for (const [channel, project] of [[channels[1], one], [channels[2], other]])
                assert.deepEqual(heard[channel], all.filter(({ data }) => data.project === project.id), channel);
            client.disconnect();
        });

        test('test_event_when_it_comes_then_it_says_what_was_done_and_by_whom', async () => {
            const company = await shared.stack.addCompany('Heard');
            const user = randomUUID();
            const { client } = await follow(company, []);
            const subscription = client.newSubscription(`company:${company}`);
            subscription.subscribe();
            await subscription.ready(5000);
            const heard = once(subscription, 'publication');
            const project = await newProject(shared.stack.client({ company, user }), { name: 'Brücke "Nord"\n' });
            const { offset, data } = await heard;
            assert.equal(offset, 1);
            assert.deepEqual({ ...data, at: null }, {
                type: 'project.created', seq: 1, id: project.id, project: project.id, actor: user, at: null, data: project,
            });
            assert.match(data.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
            client.disconnect();
        });

        test('test_events_when_of_another_company_then_never_heard', async () => {
            const [ours, theirs] = [await shared.stack.addCompany('Ours'), await shared.stack.addCompany('Theirs')];
            const { client, heard } = await follow(ours, [`company:${ours}`]);
            for (let i = 0; i < 5; i++) {
                await newProject(shared.stack.client({ company: theirs }), { name: 'Secret' });
                await newProject(shared.stack.client({ company: ours }), { name: 'Open' });
            }
            await until(() => heard[`company:${ours}`].length === 5);
            assert.ok(heard[`company:${ours}`].every(({ data }) => data.data.name === 'Open'));
            client.disconnect();
        });
    });
}
