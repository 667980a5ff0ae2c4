// What the users of the broker may do (common/broker/rights.table): each tries, with its own name and password, what it needs and what is
// another's. That the processes need no more, every test of tests/e2e shows, whose stacks run with these users.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import amqp from 'amqplib';

import { broker, ensureServers, servers, state } from '../lib/servers.mjs';
import { build } from '../lib/stack.mjs';

const walled = `walls_${process.pid}`, plain = `plain_${process.pid}`;
const company = randomUUID();

// topology_declare_all, by a user who may.
async function declareAll(vhost) {
    const key = join(state, `token_key.${vhost}`);
    writeFileSync(key, 'k'.repeat(32), { mode: 0o600 });
    await promisify(execFile)(join(build, 'gateway', 'cortex-gateway'), ['--check-queues'], { env: {
        CORTEX_AMQP_URL: await broker.url(vhost), CORTEX_DATABASE_URL: 'postgresql://nobody@127.0.0.1:9/x', CORTEX_AUTH_HS256_FILE: key,
        CORTEX_LISTEN: '127.0.0.1:0',
    } });
}

// What the broker answers to one attempt of a user: '' or its refusal.
async function attempt(user, act) {
    const connection = await amqp.connect(await broker.url(walled, user));
    connection.on('error', () => {});
    try {
        const channel = await connection.createConfirmChannel();
        const refused = new Promise((resolve) => channel.on('error', (error) => resolve(error.message)));
        const done = act(channel).then(() => '', async (error) => (/^Channel closed|closed/.test(error.message) ? refused : error.message));
        return await Promise.race([refused, done]);
    } finally {
        await connection.close().catch(() => {});
    }
}

// Each of them is one thing that a process, or whoever has its password, can ask of the broker.
const declares = (queue, options = { exclusive: true, autoDelete: true }) => [`declares ${queue}`, (channel) => channel.assertQueue(queue, options)];
const deletes = (queue) => [`deletes ${queue}`, (channel) => channel.deleteQueue(queue)];
const empties = (queue) => [`empties ${queue}`, (channel) => channel.purgeQueue(queue)];
const reads = (queue) => [`reads ${queue}`, (channel) => channel.get(queue, { noAck: false })];
const consumes = (queue) => [`consumes ${queue}`, (channel) => channel.consume(queue, () => {})];
const makes = (exchange) => [`makes the exchange ${exchange}`, (channel) => channel.assertExchange(exchange, 'topic')];
const removes = (exchange) => [`removes the exchange ${exchange}`, (channel) => channel.deleteExchange(exchange)];
const publishes = (exchange, key) => [`publishes ${key} to ${exchange || 'the default exchange'}`, (channel) => new Promise((resolve, reject) => {
    channel.publish(exchange, key, Buffer.from('{}'), {}, (error) => (error ? reject(error) : resolve()));
})];
const binds = (own, exchange, key) => [`binds ${key} of ${exchange}`, async (channel) => {
    const { queue } = await channel.assertQueue(own, { exclusive: true, autoDelete: true });
    await channel.bindQueue(queue, exchange, key);
}];
const leads = (from, to) => [`leads ${from} to ${to}`, (channel) => channel.bindExchange(to, from, '#')];

const gatewayQueue = () => `events.slots.p-${randomUUID()}.1`, poolQueue = (kind, pool) => `${kind}.${pool}.${randomUUID()}`;

const GATEWAY = {
    may: [
        declares(gatewayQueue()),
        publishes('commands', 'projects.00.project.create'), publishes('commands', 'webhooks.07.webhook.create'),
        publishes('control', 'admin.projects'), publishes('control', 'manager.webhooks'), publishes('control', 'acts'),
        ...['slots', 'writers', 'neighbours', 'presence'].map((word) => publishes('events', `gateways.${word}`)),
        publishes('events', `reply.${company}`), publishes('events', `${company}.presence`),
        binds(gatewayQueue(), 'events', `${company}.#`), binds(gatewayQueue(), 'events.gateways', '0a3.#'),
        binds(gatewayQueue(), 'events.slots', '0a3.#'), binds(gatewayQueue(), 'control', 'member.*'),
    ],
    mayNot: [
        declares('mine'), declares('commands.projects.00'), declares(poolQueue('member', 'projects')),
        ...['commands.projects.00', 'dead.projects', 'acts'].flatMap((queue) => [deletes(queue), empties(queue), reads(queue), consumes(queue)]),
        makes('mine'), removes('events'), leads('commands', 'events'),
        publishes('events', `${company}.project.created`), publishes('events', `0a3.${company}.project.created`), publishes('events', `slots.p-${company}`),
        publishes('events.gateways', '0a3.project.created'), publishes('events.slots', `0a3.${company}.project.created`),
        publishes('dead', 'projects.00.project.create'), publishes('', 'commands.projects.00'), publishes('amq.topic', 'x'),
        publishes('control', 'member.projects'), publishes('control', 'pool.projects'),
        binds(gatewayQueue(), 'commands', '#'), binds(gatewayQueue(), 'dead', '#'), binds(gatewayQueue(), 'control', 'admin.projects'),
        binds(gatewayQueue(), 'control', '#'),
    ],
};

const poolRights = (own, other) => ({
    may: [
        ...['member', 'manager', 'feed', 'gateways'].map((kind) => declares(poolQueue(kind, own))),
        ...[`dead.${own}`, 'acts'].map(reads), ...[`commands.${own}.00`, `dead.${own}`, 'acts'].map(consumes),
        publishes('events', `${company}.project.created`), publishes('events', `slots.p-${company}`), publishes('events', `reply.${company}`),
        publishes('events.gateways', '0a3.project.created'), publishes('events.slots', `0a3.${company}.project.created`),
        ...['member', 'manager', 'pool'].map((word) => publishes('control', `${word}.${own}`)),
        ...['member', 'manager', 'pool'].map((word) => binds(poolQueue('member', own), 'control', `${word}.${own}`)),
        binds(poolQueue('feed', own), 'events.slots', '0a3.#'), binds(poolQueue('gateways', own), 'events', 'gateways.slots'),
    ],
    mayNot: [
        declares('mine'), declares(`commands.${other}.00`), declares(poolQueue('member', other)), declares(gatewayQueue()),
        ...[`commands.${other}.00`, `dead.${other}`].flatMap((queue) => [deletes(queue), empties(queue), reads(queue), consumes(queue)]),
        makes('mine'), removes('commands'), leads('commands', 'events'), leads('events', 'events.slots'),
        publishes('commands', `${own}.00.project.create`), publishes('commands', `${other}.00.webhook.create`),
        publishes('dead', `${other}.00.webhook.create`), publishes('', `commands.${other}.00`),
        publishes('events', 'gateways.slots'), publishes('events', 'gateways.presence'),
        publishes('control', `member.${other}`), publishes('control', `admin.${own}`), publishes('control', 'acts'),
        binds(poolQueue('member', own), 'commands', `${other}.00.#`), binds(poolQueue('member', own), 'commands', '#'),
        binds(poolQueue('member', own), 'dead', '#'), binds(poolQueue('member', own), 'control', `member.${other}`),
        binds(poolQueue('member', own), 'control', 'admin.*'), binds(poolQueue('feed', own), 'events', '#'),
        binds(poolQueue('feed', own), 'events.gateways', '0a3.#'),
    ],
});

const USERS = { gateway: GATEWAY, projects: poolRights('projects', 'webhooks'), webhooks: poolRights('webhooks', 'projects') };

const listed = async (what, vhost, ...columns) =>
    (await broker.ctl(what, '--vhost', vhost, '--no-table-headers', ...columns)).split('\n').filter(Boolean).sort();
const exchanges = async (vhost) => ({
    exchanges: (await listed('list_exchanges', vhost, 'name', 'type', 'durable', 'auto_delete', 'internal')),
    bindings: (await listed('list_bindings', vhost, 'source_name', 'destination_name', 'destination_kind', 'routing_key'))
        .filter((line) => line.includes('\texchange\t')),
});

describe('users of the broker', () => {
    before(async () => {
        await ensureServers();
        await servers(['vhost', walled]);
    });

    test('test_exchanges_when_the_broker_is_given_then_they_are_those_that_a_process_would_declare', async () => {
        await broker.ctl('add_vhost', plain);
        await broker.ctl('set_permissions', '--vhost', plain, 'cortex', '.*', '.*', '.*');
        await declareAll(plain);
        assert.deepEqual(await exchanges(walled), await exchanges(plain));
        await declareAll(walled);
    });

    for (const [kind, { may, mayNot }] of Object.entries(USERS)) {
        test(`test_user_of_${kind}_when_it_does_what_its_processes_do_then_it_may`, async () => {
            for (const [what, act] of may) assert.equal(await attempt(`cortex_${kind}`, act), '', what);
        });
        test(`test_user_of_${kind}_when_it_reaches_for_what_is_not_its_own_then_refused`, async () => {
            for (const [what, act] of mayNot) assert.match(await attempt(`cortex_${kind}`, act), /ACCESS_REFUSED/, what);
        });
    }

    test('test_users_when_they_are_made_then_none_has_a_tag_and_each_kind_has_one', async () => {
        const users = (await broker.ctl('list_users', '--no-table-headers')).trim().split('\n').sort();
        assert.deepEqual(users, ['cortex\t[]', ...Object.keys(USERS).map((kind) => `cortex_${kind}\t[]`)].sort());
    });
});
