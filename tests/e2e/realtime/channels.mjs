import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { newProject } from '../api/expect.mjs';
import { newCentrifuge, once, Speaker } from './clients.mjs';

export function channels(shared) {
    const byHand = shared.isRepeated ? () => {} : test; // it says the same whatever client is in use
    describe('channels', () => {
        let ours, theirs, client, project, foreign;

        before(async () => {
            ours = await shared.stack.addCompany('Ours');
            theirs = await shared.stack.addCompany('Theirs');
            project = await newProject(shared.stack.client({ company: ours }));
            foreign = await newProject(shared.stack.client({ company: theirs }));
            client = newCentrifuge(shared.stack, { token: shared.stack.token({ company: ours }) });
            client.connect();
            await client.ready(5000);
        });

        const refusal = async (channel) => {
            const subscription = client.newSubscription(channel);
            const refused = once(subscription, 'unsubscribed');
            subscription.subscribe();
            const { code } = await refused;
            client.removeSubscription(subscription);
            return code;
        };

        test('test_subscribe_when_it_is_ones_own_then_recoverable_from_its_position', async () => {
            for (const channel of [`company:${ours}`, `project:${project.id}`]) {
                const subscription = client.newSubscription(channel);
                const subscribed = once(subscription, 'subscribed');
                subscription.subscribe();
                const { recoverable, positioned, streamPosition } = await subscribed;
                assert.ok(recoverable && positioned);
                assert.equal(streamPosition.offset, 1);
                assert.match(streamPosition.epoch, /^[0-9a-f]{8}$/);
            }
        });

        test('test_subscribe_when_of_another_company_then_103', async () => {
            assert.equal(await refusal(`company:${theirs}`), 103);
        });

        test('test_subscribe_when_the_project_is_of_another_company_or_nowhere_then_103', async () => {
            assert.equal(await refusal(`project:${foreign.id}`), 103);
            assert.equal(await refusal(`project:${randomUUID()}`), 103);
        });

        test('test_subscribe_when_there_is_no_such_channel_then_102', async () => {
            for (const channel of ['weather', `Company:${ours}`, `company:${ours.toUpperCase()}`, `company:${ours} `, `task:${project.id}`, 'x'.repeat(1000)])
                assert.equal(await refusal(channel), 102, channel);
        });

        byHand('test_subscribe_when_twice_or_too_many_then_105_and_106', async () => {
            const api = shared.stack.client({ company: ours });
            const projects = await Promise.all([1, 2, 3].map(() => newProject(api)));
            const speaker = await Speaker.connected(shared.stack, { company: ours });
            const code = async (id, channel) => (await speaker.ask({ id, subscribe: { channel } })).error?.code;
            assert.equal(await code(2, `company:${ours}`), undefined);
            assert.equal(await code(3, `company:${ours}`), 105);
            for (const [i, { id }] of projects.entries()) assert.equal(await code(4 + i, `project:${id}`), undefined);
            assert.equal(await code(8, `project:${project.id}`), 106);
            await speaker.close();
        });

        byHand('test_unsubscribe_when_done_then_nothing_more_comes', async () => {
            const speaker = await Speaker.connected(shared.stack, { company: ours });
            const channel = `company:${ours}`;
            await speaker.ask({ id: 2, subscribe: { channel } });
            assert.deepEqual(await speaker.ask({ id: 3, unsubscribe: { channel } }), { id: 3, unsubscribe: {} });
            await newProject(shared.stack.client({ company: ours }));
            assert.deepEqual(await speaker.ask({ id: 4, unsubscribe: { channel } }), { id: 4, unsubscribe: {} });
            assert.deepEqual(speaker.heard, []);
            await speaker.close();
        });

        byHand('test_commands_when_several_come_in_one_message_then_each_is_answered', async () => {
            const speaker = await Speaker.open(shared.stack);
            speaker.say({ id: 1, connect: { token: shared.stack.token({ company: ours }) } }, { id: 2, subscribe: { channel: `company:${ours}` } },
                { id: 3, publish: { channel: `company:${ours}` } });
            const answers = [await speaker.next(), await speaker.next(), await speaker.next()];
            assert.deepEqual(answers.map(({ id }) => id).sort(), [1, 2, 3]);
            assert.equal(answers.find(({ id }) => id === 3).error.code, 103);
            assert.ok(answers.find(({ id }) => id === 2).subscribe.recoverable);
            await speaker.close();
        });
    });
}
