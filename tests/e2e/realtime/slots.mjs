// Companies that share a slot of the exchange `events.slots`: their events come to the same gateway processes, and to their own clients only.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { newProject } from '../api/expect.mjs';
import { slotOf } from '../../lib/slot.mjs';
import { Speaker } from './clients.mjs';

function another(slot) {
    for (;;) {
        const id = randomUUID();
        if (slotOf(id) === slot) return id;
    }
}

export function slots(shared) {
    describe('slots', () => {
        test('test_companies_when_they_share_a_slot_then_each_hears_its_own_events_alone', async () => {
            const { stack } = shared;
            const ours = await stack.addCompany('Ours');
            const theirs = await stack.addCompany('In the same slot', another(slotOf(ours)));
            const unwatched = await stack.addCompany('Nobody listens', another(slotOf(ours)));
            const companies = [ours, theirs, unwatched];
            const speakers = await Promise.all([ours, theirs].map((company) => Speaker.connected(stack, { company })));
            await Promise.all(speakers.map((speaker, i) => speaker.ask({ id: 2, subscribe: { channel: `company:${companies[i]}` } })));
            const made = companies.map(() => []);
            for (let round = 0; round < 10; round++) {
                const projects = await Promise.all(companies.map((company) => newProject(stack.client({ company }))));
                projects.forEach(({ id }, i) => made[i].push(id));
            }
            for (const [i, speaker] of speakers.entries()) {
                const heard = [];
                while (heard.length < 10) heard.push((await speaker.next()).push);
                assert.deepEqual(heard.map(({ channel }) => channel), Array(10).fill(`company:${companies[i]}`));
                assert.deepEqual(heard.map(({ pub }) => pub.data.id), made[i]);
                assert.deepEqual(heard.map(({ pub }) => pub.offset), Array.from({ length: 10 }, (_, n) => n + 1));
            }
            await Promise.all(speakers.map((speaker) => speaker.close()));
        });
    });
}
