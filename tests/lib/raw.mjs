// Bytes on a socket, without a client that would repair them.
import { connect } from 'node:net';

// Sends the pieces, `pause` ms apart, and collects what comes until the peer closes or `ms` have passed without anything.
// → { text, closed }
export function exchange(address, pieces, { ms = 3000, pause = 0 } = {}) {
    const [host, port] = address.split(':');
    return new Promise((resolve, reject) => {
        const socket = connect(Number(port), host);
        const parts = [];
        let timer;
        const end = (closed) => {
            clearTimeout(timer);
            socket.destroy();
            resolve({ text: Buffer.concat(parts).toString('latin1'), closed });
        };
        const wait = () => {
            clearTimeout(timer);
            timer = setTimeout(() => end(false), ms);
        };
        socket.on('data', (part) => (parts.push(part), wait()));
        socket.on('close', () => end(true));
        socket.on('error', (error) => (['ECONNRESET', 'EPIPE'].includes(error.code) ? end(true) : reject(error)));
        socket.on('connect', async () => {
            wait();
            for (const piece of [pieces].flat()) {
                if (socket.destroyed) return;
                socket.write(Buffer.from(piece, 'latin1'));
                if (pause) await new Promise((next) => setTimeout(next, pause));
            }
        });
    });
}

// The status of each answer in the text, in order.
export function statuses(text) {
    return [...text.matchAll(/(?:^|\r\n\r\n|\}|\n|ok\n)HTTP\/1\.[01] (\d{3})/g)].map((match) => Number(match[1]));
}
