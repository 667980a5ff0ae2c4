// The usual WebSocket server: npm `ws`, a token checked at the upgrade, a room a company, and the events of the broker sent to
// everybody in the room. Prints its port when it is ready.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import amqp from 'amqplib';
import { WebSocketServer } from 'ws';

const key = readFileSync(process.env.USUAL_KEY_FILE);
const rooms = new Map();

function claims(token) {
    const [head, body, signature = ''] = token.split('.');
    const expected = createHmac('sha256', key).update(`${head}.${body}`).digest();
    const given = Buffer.from(signature, 'base64url');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
    const parsed = JSON.parse(Buffer.from(body, 'base64url'));
    return parsed.exp > Date.now() / 1000 ? parsed : null;
}

const connection = await amqp.connect(process.env.CORTEX_AMQP_URL);
const channel = await connection.createChannel();
const { queue } = await channel.assertQueue('', { exclusive: true });

async function enter(company, socket) {
    let room = rooms.get(company);
    if (!room) {
        room = { sockets: new Set(), bound: channel.bindQueue(queue, 'events', `${company}.#`) };
        rooms.set(company, room);
    }
    room.sockets.add(socket);
    await room.bound;
}

await channel.consume(
    queue,
    (message) => {
        const room = rooms.get(message.fields.routingKey.slice(0, 36));
        if (!room) return;
        const text = message.content.toString();
        for (const socket of room.sockets) socket.send(text);
    },
    { noAck: true },
);

const sockets = new WebSocketServer({ noServer: true });
const server = createServer();
server.on('upgrade', (request, socket, head) => {
    const who = claims(new URL(request.url, 'http://localhost').searchParams.get('token') ?? '');
    if (!who) {
        socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
        return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
        enter(who.company, ws);
        ws.on('close', () => rooms.get(who.company).sockets.delete(ws));
    });
});
server.listen(Number(process.env.USUAL_PORT ?? 0), '127.0.0.1', 4096, () => console.log(server.address().port));
