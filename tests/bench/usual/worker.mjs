// The usual worker: one transaction a message, then the event, the reply and the ack. Prints "ready".
import amqp from 'amqplib';
import pg from 'pg';

const pool = new pg.Pool({ max: 10 });
const connection = await amqp.connect(process.env.CORTEX_AMQP_URL);
const channel = await connection.createConfirmChannel();
await channel.assertExchange('usual.events', 'topic');
await channel.assertQueue('usual.commands', { arguments: { 'x-queue-type': 'quorum' } });
await channel.prefetch(64);

async function create(id, { company, actor, data }) {
    const client = await pool.connect();
    try {
        await client.query('BEGIN');
        const seq = (await client.query('UPDATE company_sequence SET seq = seq + 1 WHERE company_id = $1 RETURNING seq', [company])).rows[0].seq;
        const number = (
            await client.query(
                `INSERT INTO counter VALUES ($1, 'project/usual', 1) ON CONFLICT (company_id, scope)
                 DO UPDATE SET value = counter.value + 1 RETURNING value`,
                [company],
            )
        ).rows[0].value;
        const project = (
            await client.query(
                `INSERT INTO project (company_id, id, number, name, description, status, priority, start_date, end_date, budget, address)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *`,
                [
                    company,
                    id,
                    `PRJ-USUAL-${number}`,
                    data.name,
                    data.description,
                    data.status ?? 'planning',
                    data.priority ?? 'medium',
                    data.start_date,
                    data.end_date,
                    data.budget,
                    data.address,
                ],
            )
        ).rows[0];
        await client.query(
            `INSERT INTO events (company_id, seq, at, command_id, type, subject, project, actor, version, data)
             VALUES ($1, $2, now(), $3, 'project.created', $3, $3, $4, 1, $5)`,
            [company, seq, id, actor, project],
        );
        await client.query(
            `INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, at) VALUES ($1, $2, 0, 'ok', 201, $3, now())`,
            [company, id, seq],
        );
        await client.query('COMMIT');
        return { seq, project };
    } catch (error) {
        await client.query('ROLLBACK');
        throw error;
    } finally {
        client.release();
    }
}

await channel.consume('usual.commands', async (message) => {
    const command = JSON.parse(message.content);
    const { correlationId, replyTo, messageId } = message.properties;
    const { seq, project } = await create(messageId, command);
    const event = Buffer.from(JSON.stringify({ type: 'project.created', seq, data: project }));
    channel.publish('usual.events', `${command.company}.project.created`, event, { persistent: true }, () => channel.ack(message));
    channel.sendToQueue(replyTo, Buffer.from(JSON.stringify(project)), { correlationId });
});
console.log('ready');
