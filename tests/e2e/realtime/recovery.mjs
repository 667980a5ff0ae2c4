import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Follower } from '../../lib/follower.mjs';
import { Load } from '../../lib/load.mjs';
import { sleep, until } from '../../lib/process.mjs';
import { newProject, newTask } from '../api/expect.mjs';
import { Speaker } from './clients.mjs';

export function recovery(shared) {
    const subscribe = async (company, channel, position) => {
        const speaker = await Speaker.connected(shared.stack, { company });
        const { subscribe: result } = await speaker.ask({ id: 2, subscribe: { channel, ...position } });
        return { speaker, result };
    };
    const since = (epoch, offset) => ({ recover: true, epoch, offset });

    describe('recovery', () => {
        test('test_recover_when_from_memory_or_the_database_then_byte_for_byte_what_was_heard_live', async () => {
            const company = await shared.stack.addCompany('Kept');
            const channel = `company:${company}`;
            const { speaker, result: { epoch } } = await subscribe(company, channel);
            const api = shared.stack.client({ company });
            const project = await newProject(api, { name: 'Brücke\t"Nord"' });
            for (let i = 0; i < 3; i++) await newTask(api, project, { title: `Task ${i}` });
            const live = [];
            while (live.length < 4) live.push((await speaker.next()).push.pub);
            // Whichever process answers, and whether it has them in memory or reads them: the same.
            for (let i = 0; i < 8; i++) {
                const { speaker: other, result } = await subscribe(company, channel, since(epoch, 0));
                assert.equal(result.recovered, true);
                assert.equal(result.was_recovering, true);
                assert.equal(JSON.stringify(result.publications), JSON.stringify(live));
                await other.close();
            }
            const last = live.at(-1).offset;
            const { speaker: other, result } = await subscribe(company, `project:${project.id}`, since(epoch, last - 1));
            assert.deepEqual(result.publications, live.slice(-1));
            await Promise.all([speaker.close(), other.close()]);
        });

        test('test_recover_when_nothing_was_missed_then_recovered_with_nothing', async () => {
            const company = await shared.stack.addCompany('Quiet');
            await newProject(shared.stack.client({ company }));
            const { speaker, result: { epoch, offset } } = await subscribe(company, `company:${company}`);
            const { speaker: other, result } = await subscribe(company, `company:${company}`, since(epoch, offset));
            assert.equal(result.recovered, true);
            assert.equal(result.publications, undefined);
            assert.equal(result.offset, offset);
            await Promise.all([speaker.close(), other.close()]);
        });

        test('test_recover_when_the_position_is_not_of_this_stream_then_told_to_reload', async () => {
            const company = await shared.stack.addCompany('Restored');
            await newProject(shared.stack.client({ company }));
            const { speaker, result: { epoch } } = await subscribe(company, `company:${company}`);
            for (const position of [since('other', 0), since(epoch, 1000), since('x'.repeat(100), 0),
                since('\0', 0), since(`${epoch}\0`, 0)]) {
                const { speaker: other, result } = await subscribe(company, `company:${company}`, position);
                assert.equal(result.recovered, false);
                assert.equal(result.offset, 1);
                assert.equal(result.epoch, epoch);
                await other.close();
            }
            await speaker.close();
        });

        test('test_recover_when_the_sequence_has_gone_back_unsaid_then_all_are_told_to_reload', async () => {
            const company = await shared.stack.addCompany('Restored by hand');
            const api = shared.stack.client({ company });
            for (let i = 0; i < 3; i++) await newProject(api);
            const { speaker, result: { epoch, offset } } = await subscribe(company, `company:${company}`);
            await shared.stack.run(`DELETE FROM events WHERE company_id = '${company}' AND seq > 1;
                UPDATE company_sequence SET seq = 1 WHERE company_id = '${company}'`);
            let told;
            speaker.next().then((message) => (told = message));
            await until(async () => { // whichever process has the other socket
                const { speaker: back, result } = await subscribe(company, `company:${company}`, since(epoch, offset));
                assert.equal(result.recovered, false);
                assert.equal(result.offset, 1);
                await back.close();
                return told;
            }, 60_000, 'the socket that was there before is told, too');
            assert.equal(told.push.unsubscribe.code, 2500);
            await speaker.close();
        });

        test('test_recover_when_more_was_missed_than_a_page_then_the_rest_follows_in_order', async () => {
            const company = await shared.stack.addCompany('Long away');
            const { speaker, result: { epoch } } = await subscribe(company, `company:${company}`);
            await speaker.close();
            const load = new Load(shared.stack, company, { connections: 16, limit: 400 });
            load.start();
            await load.finished();
            const { speaker: back, result } = await subscribe(company, `company:${company}`, since(epoch, 0));
            assert.equal(result.recovered, true);
            const offsets = (result.publications ?? []).map(({ offset }) => offset);
            while (offsets.length < load.accepted.length) offsets.push((await back.next()).push.pub.offset);
            assert.deepEqual(offsets, Array.from({ length: load.accepted.length }, (_, i) => i + 1));
            await back.close();
        });

        test('test_recover_when_more_was_missed_than_a_socket_may_hold_then_it_comes_as_it_is_read', async () => {
            const company = await shared.stack.addCompany('Much missed');
            const { speaker, result: { epoch } } = await subscribe(company, `company:${company}`);
            const api = shared.stack.client({ company });
            const description = '\u{1f477}'.repeat(9000); // 36,000 octets
            for (let created = 0; created < 160; created += 4)
                await Promise.all([1, 2, 3, 4].map(() => newProject(api, { description })));
            const { speaker: back, result } = await subscribe(company, `company:${company}`, since(epoch, 0));
            assert.equal(result.recovered, true);
            const offsets = result.publications.map(({ offset }) => offset);
            while (offsets.length < 160) offsets.push((await back.next()).push.pub.offset);
            assert.deepEqual(offsets, Array.from({ length: 160 }, (_, i) => i + 1));
            await Promise.all([speaker.close(), back.close()]);
        });

        test('test_events_when_the_broker_s_connections_break_under_load_then_sockets_stay_open_and_miss_nothing', async () => {
            const company = await shared.stack.addCompany('Bridged');
            const follower = new Follower(shared.stack, company);
            await follower.start();
            const load = new Load(shared.stack, company, { connections: 8, limit: 400 });
            load.start();
            for (const accepted of [100, 200]) {
                await until(() => load.accepted.length > accepted, 30_000, `${accepted} creates`);
                await shared.stack.broker.ctl('close_all_connections', '--vhost', shared.stack.name, 'a test');
            }
            await load.finished();
            await until(() => follower.seen.size >= load.accepted.length, 30_000, 'all events');
            assert.deepEqual([...follower.seen.keys()], Array.from({ length: load.accepted.length }, (_, i) => i + 1));
            assert.deepEqual(follower.faults, []);
            assert.equal(follower.breaks, 0);
            follower.stop();
        });

        test('test_recover_when_cut_off_again_and_again_under_load_then_nothing_is_missed_or_repeated', async () => {
            const company = await shared.stack.addCompany('Tunnel');
            const followers = [new Follower(shared.stack, company), new Follower(shared.stack, company)];
            await Promise.all(followers.map((follower) => follower.start()));
            const load = new Load(shared.stack, company, { connections: 8, limit: 600 });
            load.start();
            const cutting = (async () => {
                while (load.accepted.length < load.limit) {
                    await sleep(100);
                    for (const follower of followers) follower.client._transport?._transport?.terminate();
                }
            })();
            await Promise.all([load.finished(), cutting]);
            for (const follower of followers) {
                await until(async () => (await follower.known()).size >= load.accepted.length, 20_000, 'all events');
                assert.deepEqual(follower.faults.filter((fault) => fault instanceof Error), []);
                assert.deepEqual([...follower.seen.keys()], Array.from({ length: load.accepted.length }, (_, i) => i + 1));
                assert.ok(follower.breaks > 0, 'it was cut off at least once');
                follower.stop();
            }
        });
    });
}
