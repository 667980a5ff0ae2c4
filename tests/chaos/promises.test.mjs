// The promises of the design under faults: the worker is killed every second, and the broker and the database restart in the middle of a run
// of creates. Afterwards every accepted command has exactly one row and one event, the company's sequence has no gap, and a WebSocket
// client knows of all of them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { expectOneEffectEach, isDrained } from '../lib/effects.mjs';
import { Follower } from '../lib/follower.mjs';
import { Load } from '../lib/load.mjs';
import { sleep, until } from '../lib/process.mjs';
import { size, within } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const CREATES = size(200_000);

let stack;
before(async () => {
    stack = await startStack('chaos');
});
after(() => stack?.stop());

// Kills what `victim` is, again and again, until told to stop.
function killEvery(ms, victim) {
    const killer = { kills: 0, going: true };
    killer.done = (async () => {
        while (killer.going) {
            await sleep(ms);
            await victim.kill();
            await victim.start();
            killer.kills += 1;
        }
    })();
    killer.stop = async () => {
        killer.going = false;
        await killer.done;
    };
    return killer;
}

async function expectKnownToAll(follower, rows) {
    await until(async () => {
        const known = await follower.known();
        return [...rows].every((id) => known.has(id));
    }, within(60_000), 'the WebSocket client to know of every project');
    assert.deepEqual(follower.faults.filter((fault) => fault instanceof Error), []);
}

describe('promises', () => {
    test('test_creates_when_the_worker_is_killed_every_second_and_both_servers_restart_then_each_has_one_effect', async (t) => {
        const company = await stack.addCompany();
        const follower = new Follower(stack, company);
        await follower.start();
        // Half of the clients wait for the result, half are content with 202.
        const loads = [{}, { prefer: 'respond-async' }].map((headers) =>
            new Load(stack, company, { connections: 32, headers, limit: CREATES / 2 }));
        const accepted = () => loads.flatMap((load) => load.accepted);
        loads.forEach((load) => load.start());
        const killer = killEvery(1000, stack.worker);

        await until(() => accepted().length > CREATES / 4, within(300_000), 'a quarter');
        await stack.broker.restart();
        await until(() => accepted().length > CREATES / 2, within(300_000), 'a half');
        await stack.database.restart();
        await Promise.all(loads.map((load) => load.finished()));
        await killer.stop();
        await until(() => isDrained(stack), within(120_000), 'the queue to be empty');

        const rows = await expectOneEffectEach(stack, company, accepted());
        assert.ok(accepted().length >= CREATES);
        await expectKnownToAll(follower, rows);
        follower.stop();
        const refused = loads.flatMap((load) => load.others).length;
        t.diagnostic(`${accepted().length} accepted, ${refused} refused on the way, ${killer.kills} kills, ${follower.breaks} WebSocket breaks, `
            + `${follower.seen.size} events seen`);
        assert.ok(killer.kills >= 5);
    });

    test('test_creates_when_gateway_processes_are_killed_then_each_has_one_effect', async () => {
        const company = await stack.addCompany();
        const follower = new Follower(stack, company);
        await follower.start();
        const load = new Load(stack, company, { connections: 32, limit: CREATES / 10 });
        load.start();
        const killer = killEvery(1000, stack.gateway);
        await load.finished();
        await killer.stop();
        await until(() => isDrained(stack), within(60_000), 'the queue to be empty');
        await expectKnownToAll(follower, await expectOneEffectEach(stack, company, load.accepted));
        follower.stop();
    });
});
