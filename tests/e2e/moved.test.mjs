// A checkout, and with it its state, under another name; and a copy of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import amqp from 'amqplib';

import { Checkout } from '../lib/checkout.mjs';
import { root, state } from '../lib/servers.mjs';

async function create(checkout, name) {
    const { status, text } = await checkout.request('POST', '/v1/projects', { name });
    assert.equal(status, 201, text);
}

async function names(checkout) {
    const { body } = await checkout.request('GET', '/v1/projects?limit=100');
    return body.data.map(({ name }) => name).sort();
}

// A quorum queue that is made where the path has letters which RabbitMQ does not keep in UTF-8.
const QUEUE = 'of.another.folder';
async function withQueue(checkout, use) {
    const url = execFileSync('bash', [join(checkout.folder, 'deploy', 'local', 'servers.sh'), 'url', 'broker'],
        { encoding: 'utf8', env: { ...process.env, CORTEX_STATE: checkout.state } });
    const connection = await amqp.connect(url.trim());
    connection.on('error', () => {}); // what waits for an answer fails by itself
    try {
        const channel = await connection.createConfirmChannel();
        await channel.assertQueue(QUEUE, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
        await use(channel);
        await channel.waitForConfirms();
    } finally {
        await connection.close().catch(() => {});
    }
}

describe('./cortex where the checkout is moved or copied', () => {
    let checkout;
    before(() => (checkout = new Checkout('moved')));
    after(() => checkout.stop());

    test('test_folder_when_it_is_renamed_while_all_runs_then_status_says_so_and_up_mends_it', async () => {
        await checkout.cortex('up');
        await create(checkout, 'Before');
        checkout.move(`${checkout.folder}-moved`);
        assert.match(await checkout.cortex('status'), /^The folder has moved to .*-moved\/\.cortex/m);
        await checkout.cortex('up');
        await create(checkout, 'After a move');
        assert.deepEqual((await names(checkout)).filter((name) => /Before|After/.test(name)), ['After a move', 'Before']);
        assert.doesNotMatch(await checkout.cortex('status'), /moved/);
    });

    test('test_folder_when_it_is_renamed_at_rest_then_every_queue_takes_commands', async () => {
        await checkout.cortex('down');
        checkout.move(`${checkout.folder}-ümläut`);
        await checkout.cortex('up');
        await create(checkout, 'After another');
        await withQueue(checkout, (channel) => channel.sendToQueue(QUEUE, Buffer.from('made there'), { persistent: true }));
    });

    test('test_folder_when_it_is_copied_then_both_run_and_neither_touches_the_other', async () => {
        await checkout.cortex('down');
        const copied = new Checkout('copied');
        try {
            execFileSync('cp', ['-a', '--no-target-directory', checkout.state, copied.state]); // the owners, too
            await checkout.cortex('up');
            await withQueue(checkout, (channel) => channel.deleteQueue(QUEUE)); // with its files
            cpSync(join(checkout.state, 'run'), join(copied.state, 'run'), { recursive: true }); // as if copied while it ran
            assert.doesNotMatch(await copied.cortex('status'), /^(gateway|projects|webhooks|broker|database) +(ready|running|moved)/m);
            assert.match(await copied.cortex('down'), /Nothing was running/);
            assert.match(await checkout.cortex('status'), /^gateway +ready/m);
            await copied.cortex('up');
            await create(copied, 'Only in the copy');
            await withQueue(copied, async (channel) => assert.equal((await channel.get(QUEUE)).content.toString(), 'made there'));
            await create(checkout, 'Only in the first');
            assert.ok(!(await names(copied)).includes('Only in the first'));
            assert.ok(!(await names(checkout)).includes('Only in the copy'));
        } finally {
            copied.stop();
        }
        assert.match(await checkout.cortex('status'), /^gateway +ready/m);
    });

    test('test_build_when_the_checkout_is_copied_then_it_compiles_its_own_sources', () => {
        const first = join(state, 'checkouts', 'sources');
        const copy = `${first}-copy`;
        mkdirSync(join(first, 'deploy/local'), { recursive: true });
        cpSync(join(root, 'deploy/local/lib'), join(first, 'deploy/local/lib'), { recursive: true });
        writeFileSync(join(first, 'CMakeLists.txt'), 'cmake_minimum_required(VERSION 3.20)\nproject(x C)\nadd_executable(x x.c)\n');
        writeFileSync(join(first, 'CMakePresets.json'), JSON.stringify({
            version: 3,
            configurePresets: [{ name: 'release', generator: 'Ninja', binaryDir: '${sourceDir}/build/release' }],
        }));
        const built = (folder, says) => {
            writeFileSync(join(folder, 'x.c'), `#include <stdio.h>\nint main(void) { puts("${says}"); return 0; }\n`);
            execFileSync('bash', ['-ec', '. deploy/local/lib/common.sh; . deploy/local/lib/build.sh; build release'],
                { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
            return execFileSync(join(folder, 'build/release/x'), { encoding: 'utf8' }).trim();
        };
        assert.equal(built(first, 'first'), 'first');
        cpSync(first, copy, { recursive: true, preserveTimestamps: true });
        assert.equal(built(copy, 'copy'), 'copy');
        renameSync(copy, `${copy}-moved`);
        assert.equal(built(`${copy}-moved`, 'moved'), 'moved');
    });
});
