// Receivers of webhooks, many in one process, on raw sockets: the healthy keep what came, the sick are sick in a way of their own. What they say is
// octets, so that they can also say what is no HTTP.
import { createServer } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

// What a sick one does with a request that is whole. `over` is called when the connection is to be closed.
export const SICK = {
    fails: (socket) => socket.write('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'),
    busy: (socket) => socket.write('HTTP/1.1 503 Later\r\nRetry-After: 31536000\r\nContent-Length: 0\r\n\r\n'),
    hangs: () => {},
    resets: (socket) => socket.resetAndDestroy(),
    resets_midway: (socket) => { socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx'); setTimeout(() => socket.resetAndDestroy(), 50); },
    trickles: (socket) => again(socket, 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n', 'x', 1000),
    trickles_headers: (socket) => again(socket, 'HTTP/1.1 200 OK\r\n', 'X: y\r\n', 1000),
    never_ends: (socket) => again(socket, 'HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n', `4000\r\n${'x'.repeat(0x4000)}\r\n`, 1),
    headers_without_end: (socket) => again(socket, 'HTTP/1.1 200 OK\r\n', `X-Long: ${'y'.repeat(2000)}\r\n`, 1),
    informs: (socket) => again(socket, '', 'HTTP/1.1 103 Early\r\n\r\n', 5),
    lies: (socket) => socket.write('I am no HTTP server\r\n\r\n'),
    lies_with_nul: (socket) => socket.write('HTTP/1.1 500 \0No\r\nContent-Length: 3\r\nX: a\0b\r\n\r\na\0b'),
    moves: (socket, { port }) => socket.write(`HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${port}/elsewhere\r\nContent-Length: 0\r\n\r\n`),
};

// Those that never come to an end by themselves.
export const HOLDING = ['hangs', 'trickles', 'trickles_headers', 'never_ends', 'headers_without_end', 'informs'];

function again(socket, first, more, ms) {
    socket.write(first);
    const timer = setInterval(() => socket.write(more), ms);
    socket.on('close', () => clearInterval(timer));
}

export class Receivers {
    // names: paths without "/"; sick: { name: one of SICK }.
    static async open(names, sick = {}) {
        const all = new Receivers(names, sick);
        await new Promise((resolve) => all.server.listen(0, '127.0.0.1', resolve));
        all.port = all.server.address().port;
        return all;
    }

    constructor(names, sick) {
        this.sick = sick;
        this.got = new Map(names.map((name) => [name, []])); // [{ id, seq, at, subject }], in the order in which they came
        this.strays = []; // requests to a path that nobody has
        this.times = []; // ms that each connection to a sick one was open
        this.sockets = new Set();
        this.server = createServer((socket) => this.#on(socket));
    }

    url(name) {
        return `http://127.0.0.1:${this.port}/${name}`;
    }

    #on(socket) {
        let rest = Buffer.alloc(0);
        this.sockets.add(socket);
        socket.on('error', () => {}).on('close', () => this.sockets.delete(socket)).on('data', (octets) => {
            rest = Buffer.concat([rest, octets]);
            for (let used; (used = this.#take(socket, rest)) > 0; ) rest = rest.subarray(used);
        });
    }

    // How many octets a request has that is whole; 0: it is not.
    #take(socket, octets) {
        const end = octets.indexOf(HEAD_END);
        if (end < 0) return 0;
        const head = octets.toString('latin1', 0, end), length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
        const whole = end + 4 + length;
        if (octets.length < whole) return 0;
        this.#request(socket, /^POST \/(\S*) /.exec(head)?.[1], /^webhook-id: *(\S+)/im.exec(head)?.[1], octets.toString('utf8', end + 4, whole));
        return whole;
    }

    #request(socket, name, id, text) {
        const kind = this.sick[name];
        if (!this.got.has(name)) return this.strays.push(name);
        const { seq, project } = JSON.parse(text);
        this.got.get(name).push({ id, seq, project, at: Date.now() });
        if (!kind) return socket.write('HTTP/1.1 204 OK\r\n\r\n');
        const began = Date.now();
        socket.once('close', () => this.times.push({ kind, ms: Date.now() - began }));
        SICK[kind](socket, this);
    }

    close() {
        this.server.close();
        for (const socket of this.sockets) socket.destroy();
    }
}
