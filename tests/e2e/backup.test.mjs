// ./cortex backup and ./cortex restore, in checkouts of their own; and what a restored database means for who follows the events.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Checkout } from '../lib/checkout.mjs';
import { send } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';
import { database, ensureServers, servers } from '../lib/servers.mjs';
import { closeAll, Speaker } from './realtime/clients.mjs';

const DEMO = '00000000-0000-7000-8000-000000000001';

async function create(checkout, name, headers = {}) {
    const { status, text } = await checkout.request('POST', '/v1/projects', { name }, headers);
    assert.equal(status, headers.prefer ? 202 : 201, text);
}

const keysOf = ({ state }, file = 'webhooks_keys') => readFileSync(join(state, 'secrets', file), 'utf8').trim().split('\n');
async function names(checkout) {
    const { body } = await checkout.request('GET', '/v1/projects?limit=100');
    return body.data.map(({ name }) => name);
}

describe('./cortex backup and restore', () => {
    const ours = () => checkout.request('GET', '/v1/events?after=0&limit=200');
    let checkout, file;
    before(async () => {
        checkout = new Checkout('backup');
        file = join(checkout.folder, 'one.backup');
        await checkout.cortex('up');
        await create(checkout, 'Kept');
    });
    after(() => {
        closeAll();
        checkout.stop();
    });

    test('test_backup_when_nothing_was_ever_started_or_the_file_exists_then_refused', async () => {
        const fresh = new Checkout('nothing');
        try {
            const { status, stderr } = await fresh.try(['backup', file]);
            assert.notEqual(status, 0);
            assert.match(stderr, /nothing to back up/);
        } finally {
            fresh.stop();
        }
        writeFileSync(file, 'mine');
        const { status, stderr } = await checkout.try(['backup', file]);
        assert.notEqual(status, 0);
        assert.match(stderr, /exists already/);
        assert.equal(readFileSync(file, 'utf8'), 'mine');
        const nowhere = join(checkout.folder, 'nowhere.backup');
        symlinkSync(join(checkout.folder, 'gone'), nowhere);
        assert.match((await checkout.try(['backup', nowhere])).stderr, /exists already/);
        // A file that comes into being while the database is dumped.
        const taken = join(checkout.folder, 'taken.backup'), writing = checkout.try(['backup', taken]);
        await until(() => readdirSync(checkout.folder).some((name) => name.startsWith('taken.backup.')), 60_000, 'the dump');
        writeFileSync(taken, 'mine');
        const late = await writing;
        assert.notEqual(late.status, 0);
        assert.match(late.stderr, /has come into being meanwhile/);
        assert.equal(readFileSync(taken, 'utf8'), 'mine');
        for (const [args, words] of [[['backup'], /takes the name/], [['restore'], /takes the name/], [['restore', '--force', file], /does not know --force/],
            [['backup', '/nowhere/x'], /no folder \/nowhere/]])
            assert.match((await checkout.try(args)).stderr, words);
    });

    test('test_backup_when_all_runs_then_one_file_that_only_its_owner_reads_and_nothing_stops', async () => {
        file = join(checkout.folder, 'two.backup');
        const running = ['gateway', 'projects', 'webhooks', 'broker', 'database'].map((part) => checkout.pid(part));
        const said = await checkout.cortex('backup', file);
        assert.match(said, /keys of tokens and secrets/);
        assert.match(said, /No command waited/);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        assert.deepEqual(readdirSync(dirname(file)).filter((name) => name.startsWith('two.')), ['two.backup']);
        assert.deepEqual(['gateway', 'projects', 'webhooks', 'broker', 'database'].map((part) => checkout.pid(part)), running);
    });

    test('test_restore_when_the_file_is_not_whole_or_data_is_there_then_refused_and_nothing_is_changed', async () => {
        const broken = join(checkout.folder, 'broken.backup');
        const size = statSync(file).size;
        const cases = [
            [() => truncateSync(broken, Math.floor(size / 2)), /no backup|damaged|part/],
            [() => writeFileSync(broken, ''), /no backup/],
            [() => {
                const bytes = readFileSync(broken);
                bytes[bytes.indexOf('PGDMP') + 2000] ^= 1;
                writeFileSync(broken, bytes);
            }, /damaged: its database\.dump/],
            [() => writeFileSync(broken, readFileSync(broken, 'latin1').replace(/migration=\d{4}/, 'migration=9999'), 'latin1'), /newer release/],
        ];
        for (const [damage, words] of cases) {
            copyFileSync(file, broken);
            damage();
            const { status, stderr } = await checkout.try(['restore', '--replace', broken]);
            assert.notEqual(status, 0);
            assert.match(stderr, words);
            assert.match(stderr, /nothing was changed/);
        }
        const { status, stderr } = await checkout.try(['restore', file]);
        assert.notEqual(status, 0);
        assert.match(stderr, /there is a database in .* already; .*--replace/);
        assert.ok((await names(checkout)).includes('Kept'));
    });

    test('test_restore_when_all_runs_then_the_state_of_then_and_every_client_reads_anew', async () => {
        await create(checkout, 'Lost');
        const keys = keysOf(checkout);
        assert.match(await checkout.cortex('keys', 'rotate'), /^webhooks seals with k/);
        const [newest, ...older] = keysOf(checkout);
        assert.deepEqual(older, keys);
        const hookKeys = keysOf(checkout, 'hook_keys');
        assert.match(await checkout.cortex('keys', 'rotate', 'hooks'), /^webhooks seals with k/);
        const [newestHook, ...olderHook] = keysOf(checkout, 'hook_keys');
        assert.deepEqual(olderHook, hookKeys);
        const token = (await checkout.cortex('token')).trim();
        const stack = { address: `127.0.0.1:${checkout.port}`, token: () => token };
        const { next } = (await ours()).body;
        const [epoch, offset] = next.split(':');
        const open = await Speaker.connected(stack);
        await open.ask({ id: 2, subscribe: { channel: `company:${DEMO}` } });

        const said = await checkout.cortex('restore', '--replace', file);
        assert.match(said, /Restored: the state of 20/);
        assert.match(said, /set aside as cortex_replaced/);
        assert.deepEqual(keysOf(checkout), [...keys, newest]);
        assert.deepEqual(keysOf(checkout, 'hook_keys'), [...hookKeys, newestHook]);
        assert.ok((await names(checkout)).includes('Kept'));
        assert.ok(!(await names(checkout)).includes('Lost'));
        await open.closed;

        const asked = (after, accept) => send(`http://${stack.address}/v1/events?after=${after}`, { headers: { authorization: `Bearer ${token}`, accept } });
        for (const accept of ['application/json', 'text/event-stream']) {
            assert.equal((await asked(next, accept)).status, 410);
            assert.equal((await asked(offset, accept)).status, 410);
        }
        assert.equal((await asked(`${epoch}:1`, 'application/json')).status, 410);
        const back = await Speaker.connected(stack);
        const { subscribe } = await back.ask({ id: 2, subscribe: { channel: `company:${DEMO}`, recover: true, epoch, offset: Number(offset) } });
        assert.equal(subscribe.recovered, false);
        assert.notEqual(subscribe.epoch, epoch);
        assert.ok(subscribe.offset < Number(offset));
        await back.close();
        await create(checkout, 'After');
    });

    test('test_restore_when_commands_wait_in_the_queues_then_it_is_said_and_they_are_run', async () => {
        const waiting = join(checkout.folder, 'waiting.backup');
        const pool = checkout.pid('projects');
        process.kill(pool, 'SIGTERM');
        await until(async () => !existsSync(`/proc/${pool}`), 60_000, 'the pool to leave');
        await create(checkout, 'Waited', { prefer: 'respond-async' });
        assert.match(await checkout.cortex('backup', waiting), /^1 commands waited/m);
        const said = await checkout.cortex('restore', '--replace', waiting);
        assert.match(said, /^1 accepted commands wait in RabbitMQ's queues/m);
        await until(async () => (await names(checkout)).includes('Waited'), 60_000, 'the command that waited');
    });

    test('test_restore_when_the_folder_is_fresh_then_all_is_there_and_old_tokens_hold', async () => {
        await checkout.cortex('down');
        const before = statSync(join(checkout.state, 'database/data/PG_VERSION'));
        const atRest = join(checkout.folder, 'rest.backup');
        assert.match(await checkout.cortex('backup', atRest), /RabbitMQ was not running/);
        assert.deepEqual(statSync(join(checkout.state, 'database/data/PG_VERSION')).ino, before.ino);
        assert.doesNotMatch(await checkout.cortex('status'), /^database +running/m);
        const fresh = new Checkout('fresh');
        try {
            const said = await fresh.cortex('restore', atRest);
            assert.match(said, /\.\/cortex up starts it/);
            assert.doesNotMatch(said, /set aside/);
            await fresh.cortex('up');
            assert.ok((await names(fresh)).includes('After'));
            await create(fresh, 'In the new folder');
            const theirs = { authorization: `Bearer ${(await checkout.cortex('token')).trim()}` };
            assert.equal((await send(`http://127.0.0.1:${fresh.port}/v1/projects`, { headers: theirs })).status, 200);
        } finally {
            fresh.stop();
        }
    });

    test('test_backup_when_the_database_is_not_ours_then_refused_and_where_to_read_on', async () => {
        const theirs = `backup_${process.pid}`;
        await ensureServers();
        await servers(['createdb', theirs]);
        const url = await database.url('cortex', theirs);
        const { status, stderr } = await checkout.try(['up'], { CORTEX_DATABASE_URL: url });
        assert.equal(status, 0, stderr);
        for (const args of [['backup', join(checkout.folder, 'theirs.backup')], ['restore', '--replace', file]]) {
            const refused = await checkout.try(args);
            assert.notEqual(refused.status, 0);
            assert.match(refused.stderr, /database is that of CORTEX_DATABASE_URL.*operating\.md/);
        }
    });
});
