import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Follower } from '../../lib/follower.mjs';
import { Load } from '../../lib/load.mjs';
import { until } from '../../lib/process.mjs';
import { Speaker } from './clients.mjs';

export function leaving(shared) {
    describe('leaving', () => {
        test('test_drain_when_the_gateway_leaves_then_sockets_are_closed_with_3001_over_its_time', async () => {
            const speakers = await Promise.all(Array.from({ length: 40 }, () => Speaker.connected(shared.stack)));
            const began = Date.now();
            const goodbyes = speakers.map((speaker) => speaker.closed.then((goodbye) => ({ ...goodbye, after: Date.now() - began })));
            await shared.stack.gateway.stop();
            const heard = await Promise.all(goodbyes);
            assert.ok(heard.every(({ code }) => code === 3001), JSON.stringify(heard.map(({ code }) => code)));
            // 40 within two seconds at random: they do not all go in the same half second.
            const last = Math.max(...heard.map(({ after }) => after));
            const first = Math.min(...heard.map(({ after }) => after));
            assert.ok(last - first > 500, `from ${first} to ${last} ms`);
            await shared.stack.gateway.start();
        });

        test('test_gateway_when_killed_under_load_then_clients_come_back_and_miss_nothing', async () => {
            const company = await shared.stack.addCompany('Killed');
            const follower = new Follower(shared.stack, company);
            await follower.start();
            const load = new Load(shared.stack, company, { connections: 8, limit: 300 });
            load.start();
            await until(() => load.accepted.length > 80);
            await shared.stack.gateway.kill();
            await shared.stack.gateway.start();
            await load.finished();
            await until(async () => (await follower.known()).size >= load.accepted.length, 20_000, 'all events');
            assert.deepEqual(follower.faults.filter((fault) => fault instanceof Error), []);
            assert.ok(follower.breaks > 0);
            follower.stop();
        });
    });
}
