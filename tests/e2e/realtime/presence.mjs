import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { newCentrifuge, once, Speaker } from './clients.mjs';

export function presence(shared) {
    const byHand = shared.isRepeated ? () => {} : test; // it says the same whatever client is in use
    describe('presence', () => {
        let company, channel;

        before(async () => {
            company = await shared.stack.addCompany('Present');
            channel = `company:${company}`;
        });

        const join = async (options = {}, user = randomUUID()) => {
            const client = newCentrifuge(shared.stack, { token: shared.stack.token({ company, user }) });
            const subscription = client.newSubscription(channel, options);
            subscription.subscribe();
            client.connect();
            const connected = once(client, 'connected');
            await subscription.ready(5000);
            return { client, subscription, user, id: (await connected).client };
        };

        test('test_presence_when_clients_are_in_several_processes_then_all_of_them', async () => {
            const user = randomUUID();
            const clients = [await join({}, user), await join({}, user), ...(await Promise.all(Array.from({ length: 6 }, () => join())))];
            const { clients: present } = await clients[0].subscription.presence();
            assert.deepEqual(Object.keys(present).sort(), clients.map(({ id }) => id).sort());
            for (const { id, user: of } of clients) assert.equal(present[id].user, of);
            assert.deepEqual(await clients[3].subscription.presenceStats(), { numClients: 8, numUsers: 7 });
            clients[7].client.disconnect();
            while ((await clients[0].subscription.presenceStats()).numClients !== 7) await delay(20);
            clients.forEach(({ client }) => client.disconnect());
        });

        test('test_join_leave_when_asked_for_then_heard_from_every_process', async () => {
            const listener = await join({ joinLeave: true });
            const joined = new Set(), left = new Set();
            listener.subscription.on('join', ({ info }) => joined.add(info.client));
            listener.subscription.on('leave', ({ info }) => left.add(info.client));
            const others = await Promise.all(Array.from({ length: 6 }, () => join()));
            const ids = others.map(({ id }) => id);
            while (!ids.every((id) => joined.has(id))) await once(listener.subscription, 'join');
            others.forEach(({ client }) => client.disconnect());
            while (!ids.every((id) => left.has(id))) await once(listener.subscription, 'leave');
            listener.client.disconnect();
        });

        byHand('test_presence_when_not_subscribed_then_103', async () => {
            const speaker = await Speaker.connected(shared.stack, { company });
            assert.equal((await speaker.ask({ id: 2, presence: { channel } })).error.code, 103);
            assert.equal((await speaker.ask({ id: 3, presence_stats: { channel } })).error.code, 103);
            await speaker.close();
        });
    });
}
