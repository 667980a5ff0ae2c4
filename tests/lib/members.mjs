// What the workers of the projects pool say of themselves (workers/fleet/members/wire.h): an array that grows while the connection lives.
//
//     const said = await hearWorkers(stack);
//     await until(() => said.some(({ has_parcels: has }) => has), 60_000, 'parcels');
import amqp from 'amqplib';

export async function hearWorkers(stack) {
    const connection = await amqp.connect(stack.amqpUrl);
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const said = [];
    await channel.bindQueue(queue, 'control', 'member.projects');
    await channel.consume(queue, ({ content }) => said.push(JSON.parse(content)), { noAck: true });
    connection.on('error', () => {}); // the server may be stopped first
    said.stop = () => connection.close();
    return said;
}
