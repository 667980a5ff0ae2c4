// Commands that no gateway would write, put straight on the queue: each ends in the dead letters and the others go on.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import amqp from 'amqplib';

import { until } from '../../lib/process.mjs';

const bodies = {
    nothing: Buffer.alloc(0),
    'half a map': Buffer.from([0x83, 0x03]),
    'a string that is longer than the message': Buffer.from([0x81, 0x03, 0xdb, 0x7f, 0xff, 0xff, 0xff, 0x41]),
    'a list that asks for 96 GB': Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]),
    'a map that asks for 96 GB': Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]),
    'nesting without an end': Buffer.alloc(100_000, 0x91),
    'a type that is not used': Buffer.from([0xc1]),
    'bytes behind the end': Buffer.concat([Buffer.from([0x81, 0x03, 0xa1, 0x78]), Buffer.from('more')]),
    'text that is no UTF-8': Buffer.from([0x81, 0x03, 0xa2, 0xff, 0xfe]),
    'a number for a name': Buffer.from([0x81, 0x03, 0x05]),
    'no name': Buffer.from([0x80]),
    noise: randomBytes(512),
};

function properties(company, changes = {}) {
    return {
        messageId: randomUUID(), type: 'project.create', contentType: 'application/msgpack', persistent: true, mandatory: true,
        timestamp: Math.floor(Date.now() / 1000),
        ...changes,
        headers: { company, actor: randomUUID(), role: 'company_admin', fingerprint: 1, ...changes.headers },
    };
}

const noActor = Buffer.from('{"subject":"nobody"}');
const good = Buffer.from([0x81, 0x03, 0xa1, 0x78]); // {name: "x"}

const envelopes = (company) => ({
    'no message id': properties(company, { messageId: undefined }),
    'a message id that is no UUID': properties(company, { messageId: 'x'.repeat(200) }),
    'an unknown type': properties(company, { type: 'project.explode' }),
    'no type': properties(company, { type: undefined }),
    'no company': properties(company, { headers: { company: undefined } }),
    'a company that is no UUID': properties(company, { headers: { company: "'; DROP TABLE project" } }),
    'a company of another type': properties(company, { headers: { company: 42 } }),
});

function deep(depth) {
    return depth === 0 ? 'bottom' : { a: deep(depth - 1) };
}

export function poison(shared) {
    describe('poisoned commands', () => {
        test('test_poison_on_the_queue_then_each_is_a_dead_letter_and_the_service_goes_on', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const api = stack.client({ company });
            const connection = await amqp.connect(stack.amqpUrl);
            const channel = await connection.createConfirmChannel();
            const messages = [
                ...Object.values(bodies).map((body) => [body, properties(company)]),
                ...Object.values(envelopes(company)).map((envelope) => [good, envelope]),
            ];
            for (const [body, envelope] of messages) {
                channel.publish('commands', 'projects.00.project.create', body, envelope);
                assert.equal((await api.post('/v1/projects', { name: 'In between' })).status, 201);
            }
            await channel.waitForConfirms();

            await connection.close();

            const deadLetters = await collect(stack, messages.length);
            for (const { reason, body } of deadLetters) assert.ok(reason && body !== null, 'it says why, and what it was');

            const [{ rows, events }] = await stack.query(`SELECT
                (SELECT count(*) FROM project WHERE company_id = '${company}') AS rows,
                (SELECT count(*) FROM events WHERE company_id = '${company}') AS events`);
            assert.deepEqual({ rows, events }, { rows: messages.length, events: messages.length }, 'only what came by the API');
            assert.ok(stack.worker.alive());
        });

        test('test_what_cannot_be_read_on_the_other_queues_then_it_is_a_dead_letter_or_has_an_answer', async (t) => {
            const { stack } = shared;
            const connection = await amqp.connect(stack.amqpUrl);
            t.after(() => connection.close());
            const channel = await connection.createConfirmChannel();

            // What operators did.
            const acts = [[Buffer.from('no JSON'), {}], [noActor, { messageId: randomUUID() }], [Buffer.from([0xff, 0]), { type: 'x'.repeat(200) }]];
            for (const [body, more] of acts) channel.publish('', 'acts', body, { type: 'act.of.this.test', headers: { outcome: 'ok' }, ...more });
            const kept = () => stack.query("SELECT encode(body, 'hex') AS body FROM dead_letter WHERE reason = 'unreadable' AND company_id IS NULL");
            await until(async () => (await kept()).length === acts.length, 20_000, 'a dead letter of each');
            assert.deepEqual((await kept()).map(({ body }) => body).sort(), acts.map(([body]) => body.toString('hex')).sort());
            assert.deepEqual(await stack.query("SELECT id FROM operator_act WHERE act = 'act.of.this.test'"), []);

            // What operators ask: a manager, and a worker.
            const answers = {};
            const { queue } = await channel.assertQueue('', { exclusive: true });
            await channel.bindQueue(queue, 'events', 'reply.of.this.test');
            await channel.consume(queue, ({ properties: { correlationId, headers } }) => { answers[correlationId] = headers.status; }, { noAck: true });
            const ask = (key, type, body) => channel.publish('control', key, Buffer.from(body),
                { correlationId: `${key} ${type}`, type, replyTo: 'reply.of.this.test' });
            ask('manager.projects', 'pool', '{"wanted":"many"}');
            ask('admin.projects', 'dead.replay', 'no JSON');
            ask('admin.projects', 'dead.nothing', '{}');
            await until(() => Object.keys(answers).length === 3, 20_000, 'the answers');
            assert.deepEqual(answers, { 'manager.projects pool': 'bad-request', 'admin.projects dead.replay': 'bad-request',
                'admin.projects dead.nothing': 'not-implemented' });
        });

        // Headers that nobody here knows, however deep, are a newer version's business.
        test('test_good_command_with_deep_unknown_headers_put_on_the_queue_by_hand_then_it_is_done', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const connection = await amqp.connect(stack.amqpUrl);
            const channel = await connection.createConfirmChannel();
            const envelope = properties(company, { headers: { nested: deep(60) } });
            channel.publish('commands', 'projects.00.project.create', good, envelope);
            await channel.waitForConfirms();
            await connection.close();
            await until(async () => (await stack.client({ company }).get(`/v1/projects/${envelope.messageId}`)).status === 200, 10_000,
                'the project');
        });

        // The broker refuses a worker this key, and would end the connection by which all others are answered, again and again.
        test('test_good_command_that_asks_to_be_answered_where_nobody_may_be_then_it_is_done_and_others_are_answered', async () => {
            const { stack } = shared;
            const company = await stack.addCompany(), api = stack.client({ company });
            const connection = await amqp.connect(stack.amqpUrl);
            const channel = await connection.createConfirmChannel();
            const envelope = properties(company, { replyTo: 'gateways.slots' });
            channel.publish('commands', 'projects.00.project.create', good, envelope);
            await channel.waitForConfirms();
            await connection.close();
            await until(async () => (await api.get(`/v1/projects/${envelope.messageId}`)).status === 200, 10_000, 'the project');
            assert.equal((await api.post('/v1/projects', { name: 'After it' })).status, 201);
        });
    });
}

// Waits for `count` dead letters, and sees that there are no more.
async function collect(stack, count) {
    let deadLetters = [];
    await until(async () => {
        deadLetters = await stack.query('SELECT reason, body FROM dead_letter');
        return deadLetters.length >= count;
    }, 20_000, `${count} dead letters`);
    assert.equal(deadLetters.length, count);
    return deadLetters;
}
