import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { Centrifuge } from 'centrifuge-3';
import WebSocket from 'ws';

import { newProject } from '../api/expect.mjs';
import { endpoint, once } from './clients.mjs';

// Apps are not all updated on one day: a client two major versions older, as published, is served the same.
export function olderClient(shared) {
    describe('the published client of two major versions ago', () => {
        let company, channel, api;

        before(async () => {
            company = await shared.stack.addCompany('Older');
            channel = `company:${company}`;
            api = shared.stack.client({ company });
        });

        const connect = async (claims = {}) => {
            const client = new Centrifuge(endpoint(shared.stack), { websocket: WebSocket, minReconnectDelay: 300, maxReconnectDelay: 400, token: shared.stack.token({ company, ...claims }) });
            client.connect();
            await client.ready(5000);
            return client;
        };

        test('test_older_client_when_it_breaks_off_then_recovers_what_it_missed', async () => {
            const client = await connect();
            const subscription = client.newSubscription(channel, { joinLeave: true });
            const ids = [], joined = once(subscription, 'join');
            subscription.on('publication', ({ data }) => ids.push(data.id));
            subscription.subscribe();
            await subscription.ready(5000);
            assert.ok((await joined).info.client);
            const again = once(subscription, 'subscribing').then(() => once(subscription, 'subscribed'));
            client._transport._transport.close();
            const missed = [await newProject(api), await newProject(api)].map(({ id }) => id);
            assert.equal((await again).recovered, true);
            while (ids.length < missed.length) await once(subscription, 'publication');
            assert.deepEqual(ids, missed);
            client.disconnect();
        });

        test('test_older_client_when_it_asks_then_answered', async () => {
            const client = await connect({ channels: [channel] });
            const { data } = await client.rpc('POST /v1/projects', { body: { name: 'From an older app' } });
            assert.equal(data.status, 201);
            const { publications } = await client.history(channel, { limit: 1, reverse: true });
            assert.equal(publications[0].data.id, data.body.id);
            assert.equal((await client.presenceStats(channel)).numClients, 1);
            assert.equal(Object.keys((await client.presence(channel)).clients).length, 1);
            client.disconnect();
        });
    });
}
