// The way of somebody who runs it: up, break, mend, back up, move, upgrade. One stack goes all of it, and at each step everything that was
// ever accepted is there.
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Checkout } from '../lib/checkout.mjs';
import { send } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';

const PARTS = ['projects', 'webhooks', 'gateway', 'broker', 'database'];
const SOON_MS = 60_000;

describe('up, break, mend, back up, move, upgrade', () => {
    let checkout, token;
    const accepted = []; // names of projects

    const request = (method, path, body, headers = {}) => send(`http://127.0.0.1:${checkout.port}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
        body: body && JSON.stringify(body),
    });
    // Whether it was accepted. An answer that never came says nothing.
    async function create(name, headers) {
        const answer = await request('POST', '/v1/projects', { name }, headers).catch(() => null);
        if ([201, 202].includes(answer?.status)) accepted.push(name);
        return answer?.status;
    }
    async function names() {
        const all = [];
        for (let path = '/v1/projects?limit=100'; path;) {
            const { status, body, text } = await request('GET', path);
            assert.equal(status, 200, text);
            all.push(...body.data.map(({ name }) => name));
            path = body.next ? `/v1/projects?limit=100&after=${encodeURIComponent(body.next)}` : null;
        }
        return all;
    }
    // Each once: what was accepted without an answer may take a moment.
    async function allIsThere() {
        let there = [];
        const missing = () => accepted.filter((name) => !there.includes(name));
        await until(async () => (there = await names()) && missing().length === 0, SOON_MS, 'all to be there').catch(() => {});
        assert.deepEqual(missing(), []);
        assert.deepEqual(accepted.filter((name) => there.indexOf(name) !== there.lastIndexOf(name)), []);
    }
    async function isUp() {
        await until(async () => !/^(gateway +not ready|\w+ +stopped)/m.test(await checkout.cortex('status')), SOON_MS, 'all to be ready');
        assert.equal(await create(`After ${accepted.length}`), 201);
        await allIsThere();
    }
    const kill = (part) => process.kill(checkout.pid(part), 'SIGKILL');

    before(() => (checkout = new Checkout('ways')));
    after(() => checkout?.stop());

    test('test_up_when_the_folder_is_fresh_then_a_project_can_be_made_at_once', async () => {
        assert.match(await checkout.cortex('up'), /CortexBuild answers at http/);
        token = (await checkout.cortex('token')).trim();
        await isUp();
    });

    for (const [what, parts] of [['our_processes', ['projects', 'webhooks', 'gateway']], ['the_broker', ['broker']], ['the_database', ['database']],
        ['everything', PARTS]])
        test(`test_up_when_${what}_died_at_once_then_status_names_it_and_up_mends_it`, async () => {
            for (let i = 0; i < 5; i++) assert.equal(await create(`Before ${what} died ${i}`, { prefer: 'respond-async' }), 202);
            parts.forEach(kill);
            await until(async () => {
                const said = await checkout.cortex('status');
                return parts.every((part) => new RegExp(`^${part} +stopped`, 'm').test(said));
            }, SOON_MS, `status to miss ${what}`);
            await create(`Without ${what}`, { prefer: 'respond-async' }); // or it is refused
            await checkout.cortex('up');
            await isUp();
        });

    test('test_backup_when_it_is_restored_on_another_machine_then_all_is_there_and_the_token_holds', async () => {
        const file = join(checkout.folder, 'all.backup');
        await checkout.cortex('backup', file);
        const other = new Checkout('ways-other');
        try {
            await other.environment();
            await other.cortex('restore', file);
            await other.cortex('up');
            const [first, port] = [checkout, checkout.port];
            checkout = other;
            try {
                await allIsThere();
            } finally {
                checkout = first;
                assert.equal(checkout.port, port);
            }
        } finally {
            other.stop();
        }
    });

    test('test_folder_when_it_moves_then_up_goes_on_there', async () => {
        checkout.move(`${checkout.folder}-moved`);
        await checkout.cortex('up');
        await isUp();
    });

    test('test_upgrade_when_the_next_version_has_another_migration_then_up_brings_it_while_writes_go_on', async () => {
        const folder = join(checkout.folder, 'schemas/sql');
        const next = `${readdirSync(folder).length + 1}`.padStart(4, '0');
        writeFileSync(join(folder, `${next}_next_version.sql`), 'ALTER TABLE project ADD COLUMN of_the_next_version text;\n');
        for (const program of ['gateway/cortex-gateway', 'workers/cortex-worker']) { // as a build writes them
            const path = join(checkout.folder, 'programs', program);
            copyFileSync(path, `${path}.new`);
            renameSync(`${path}.new`, path);
        }
        const before = ['gateway', 'projects', 'webhooks'].map((part) => checkout.pid(part));
        let goesOn = true, refused = 0;
        const writing = (async () => {
            for (let i = 0; goesOn; i++) if (![201, 202].includes(await create(`During the upgrade ${i}`))) refused++;
        })();
        try {
            await checkout.cortex('up');
        } finally {
            goesOn = false;
            await writing;
        }
        ['gateway', 'projects', 'webhooks'].forEach((part, i) => assert.notEqual(checkout.pid(part), before[i], part));
        await isUp();
        assert.match(await checkout.cortex('up'), /nothing was changed/);
        assert.ok(accepted.some((name) => name.startsWith('During')), `${refused} were refused`);
    });
});
