import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { newProject } from '../api/expect.mjs';
import { Speaker } from './clients.mjs';

// Together more than the bound of the socket (256k here) and what the kernel holds of a connection that nobody reads (some 4 MB).
const EVENTS = 200;
const PLAIN = { options: { perMessageDeflate: false } }; // or these would be compressed to nothing
const DESCRIPTION = '\u{1f477}'.repeat(9000); // 36,000 octets

export function slowness(shared) {
    describe('slow readers', () => {
        test('test_reader_when_it_stalls_then_closed_with_3008_recovers_and_the_others_hear_everything', async () => {
            const company = await shared.stack.addCompany('Stalled');
            const channel = `company:${company}`;
            const [slow, quick] = [await Speaker.connected(shared.stack, { company }, PLAIN), await Speaker.connected(shared.stack, { company })];
            const heard = [];
            const { subscribe: { epoch } } = await slow.ask({ id: 2, subscribe: { channel } });
            await quick.ask({ id: 2, subscribe: { channel } });
            slow.socket.pause();
            const api = shared.stack.client({ company });
            for (let created = 0; created < EVENTS; created += 2)
                await Promise.all([newProject(api, { description: DESCRIPTION }), newProject(api, { description: DESCRIPTION })]);
            while (heard.length < EVENTS) heard.push((await quick.next()).push.pub.offset);
            assert.deepEqual(heard, Array.from({ length: EVENTS }, (_, i) => i + 1));
            slow.socket.resume();
            const { code } = await slow.closed;
            assert.equal(code, 3008);
            // What it has, it has in order; the rest it recovers.
            const offsets = slow.heard.map(({ push }) => push.pub.offset);
            assert.deepEqual(offsets, Array.from({ length: offsets.length }, (_, i) => i + 1));
            assert.ok(offsets.length < EVENTS);
            const back = await Speaker.connected(shared.stack, { company }, PLAIN);
            const { subscribe } = await back.ask({ id: 2, subscribe: { channel, recover: true, epoch, offset: offsets.length } });
            assert.equal(subscribe.recovered, true);
            offsets.push(...(subscribe.publications ?? []).map(({ offset }) => offset));
            while (offsets.length < EVENTS) offsets.push((await back.next()).push.pub.offset);
            assert.deepEqual(offsets, heard);
            await back.close();
            await quick.close();
        });
    });
}
