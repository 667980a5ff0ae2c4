// A TCP proxy in front of the broker that understands enough of AMQP to cut connections in the middle of a frame.
import { connect, createServer } from 'node:net';

const GREETING = 8; // octets before the first frame of a client
const HEADER = 7; // type, channel, size
const LEAST = 16; // payloads that are worth a cut: no heartbeats

// One direction of one connection: knows where in a frame it is.
class Flow {
    constructor(skip) {
        this.left = skip; // octets until the next frame begins
        this.header = Buffer.alloc(0);
        this.armed = false;
    }

    // How many octets of the chunk may pass: fewer than all when the cut lies in it.
    take(chunk) {
        let at = 0;
        while (at < chunk.length) {
            if (this.left > 0) {
                const step = Math.min(this.left, chunk.length - at);
                if (this.cutAfter !== undefined && this.left - step <= this.cutAfter) return at + (this.left - this.cutAfter);
                this.left -= step;
                at += step;
                continue;
            }
            const need = HEADER - this.header.length;
            this.header = Buffer.concat([this.header, chunk.subarray(at, at + need)]);
            at += Math.min(need, chunk.length - at);
            if (this.header.length < HEADER) continue;
            const size = this.header.readUInt32BE(3);
            this.header = Buffer.alloc(0);
            this.left = size + 1; // and the octet at its end
            if (this.armed && size >= LEAST) this.cutAfter = Math.floor(this.left / 2);
        }
        return chunk.length;
    }
}

export class Proxy {
    constructor(port) {
        this.target = port;
        this.pairs = new Set();
        this.cuts = 0;
    }

    async start() {
        this.server = createServer((client) => this.#accept(client));
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.port = this.server.address().port;
    }

    #accept(client) {
        const server = connect(this.target, '127.0.0.1');
        const pair = { client, server, toServer: new Flow(GREETING), toClient: new Flow(0) };
        this.pairs.add(pair);
        const end = () => {
            client.destroy();
            server.destroy();
            this.pairs.delete(pair);
        };
        this.#pipe(client, server, pair.toServer, end);
        this.#pipe(server, client, pair.toClient, end);
    }

    #pipe(from, to, flow, end) {
        from.setNoDelay(true);
        from.on('data', (chunk) => {
            const passes = flow.take(chunk);
            if (passes === chunk.length) {
                if (!to.write(chunk)) from.pause();
                return;
            }
            this.cuts += 1;
            to.write(chunk.subarray(0, passes), end);
            from.pause();
        });
        to.on('drain', () => from.resume());
        from.on('error', end);
        from.on('close', end);
    }

    // Every connection that is open now is cut within the next frame of that direction ('toServer', 'toClient') that carries something.
    arm(direction) {
        for (const pair of this.pairs) pair[direction].armed = true;
        return this.pairs.size;
    }

    stop() {
        for (const { client, server } of this.pairs) {
            client.destroy();
            server.destroy();
        }
        this.server.close();
    }
}
