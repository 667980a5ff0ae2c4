// The usual API: Fastify validates, a confirm channel publishes, the reply comes back on an exclusive queue; reads by a pool.
// Prints its port when it is ready.
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import amqp from 'amqplib';
import Fastify from 'fastify';
import pg from 'pg';

const key = readFileSync(process.env.USUAL_KEY_FILE);
const pool = new pg.Pool({ max: 10 });
const connection = await amqp.connect(process.env.CORTEX_AMQP_URL);
const commands = await connection.createConfirmChannel();
const replies = await connection.createChannel();
const { queue } = await replies.assertQueue('', { exclusive: true });
const waiting = new Map();

await replies.consume(
    queue,
    (message) => {
        waiting.get(message.properties.correlationId)?.(JSON.parse(message.content));
        waiting.delete(message.properties.correlationId);
    },
    { noAck: true },
);

const app = Fastify();

app.addHook('onRequest', async (request, reply) => {
    const [head, claims, signature = ''] = (request.headers.authorization ?? '').replace('Bearer ', '').split('.');
    const expected = createHmac('sha256', key).update(`${head}.${claims}`).digest();
    const given = Buffer.from(signature, 'base64url');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return reply.code(401).send();
    request.claims = JSON.parse(Buffer.from(claims, 'base64url'));
    if (request.claims.exp < Date.now() / 1000) return reply.code(401).send();
});

const text = (maxLength) => ({ type: 'string', minLength: 1, maxLength });
const project = {
    type: 'object',
    required: ['name'],
    additionalProperties: false,
    properties: {
        name: text(200),
        description: text(10000),
        status: { enum: ['planning', 'active', 'on-hold', 'completed', 'cancelled'] },
        priority: { enum: ['low', 'medium', 'high', 'critical'] },
        start_date: { type: 'string', format: 'date' },
        end_date: { type: 'string', format: 'date' },
        budget: { type: 'number', minimum: 0 },
        address: text(500),
    },
};

app.post('/v1/projects', { schema: { body: project } }, async (request, reply) => {
    const messageId = randomUUID();
    const result = new Promise((resolve) => waiting.set(messageId, resolve));
    const body = Buffer.from(JSON.stringify({ company: request.claims.company, actor: request.claims.sub, data: request.body }));
    await new Promise((resolve, reject) =>
        commands.sendToQueue('usual.commands', body, { persistent: true, messageId, correlationId: messageId, replyTo: queue }, (error) =>
            error ? reject(error) : resolve(),
        ),
    );
    const created = await result;
    return reply.code(201).header('location', `/v1/projects/${created.id}`).send(created);
});

app.get('/v1/projects/:id', async (request, reply) => {
    const { rows } = await pool.query('SELECT * FROM project WHERE company_id = $1 AND id = $2', [request.claims.company, request.params.id]);
    return rows[0] ?? reply.code(404).send();
});

await app.listen({ host: '127.0.0.1', port: 0 });
console.log(app.server.address().port);
