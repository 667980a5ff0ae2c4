// A proxy in front of the broker that lets some messages be refused: each message whose routing key fits reaches no queue, and the
// broker's confirm (basic.ack) of it becomes a refusal (basic.nack), on the connections that the proxy has been told to refuse on. So does
// RabbitMQ 3.10 with one queue on a connection that was made while the queue's leader moved.
import { connect, createServer } from 'node:net';

const GREETING = 8; // octets before the first frame of a client
const HEAD = 7; // type, channel, size
const PUBLISH = 0x003c0028, ACK = 0x003c0050, NACK = 0x003c0078;

// The whole frames of one direction, as they come in.
class Frames {
    constructor(skip, onFrame, write) {
        Object.assign(this, { skip, onFrame, write, rest: Buffer.alloc(0) });
    }

    take(chunk) {
        this.rest = Buffer.concat([this.rest, chunk]);
        if (this.skip > 0 && this.rest.length >= this.skip) {
            this.write(this.rest.subarray(0, this.skip));
            this.rest = this.rest.subarray(this.skip);
            this.skip = 0;
        }
        const out = [];
        while (this.skip === 0 && this.rest.length >= HEAD) {
            const size = HEAD + this.rest.readUInt32BE(3) + 1;
            if (this.rest.length < size) break;
            out.push(...this.onFrame(this.rest.subarray(0, size)));
            this.rest = this.rest.subarray(size);
        }
        if (out.length > 0) this.write(Buffer.concat(out));
    }
}

const methodOf = (frame) => (frame[0] === 1 ? frame.readUInt32BE(HEAD) : 0);

// Where the routing key's length stands: after the method, a reserved field and the exchange's name.
const keyAt = (publish) => HEAD + 6 + 1 + publish[HEAD + 6];

function keyOf(publish) {
    const at = keyAt(publish);
    return publish.toString('latin1', at + 1, at + 1 + publish[at]);
}

// The same message with a key that no queue is bound by, and not `mandatory`: the broker confirms it and drops it.
function unroutable(publish) {
    const copy = Buffer.from(publish), at = keyAt(copy), flags = at + 1 + copy[at];
    copy.fill('-', at + 1, flags);
    copy[flags] = 0;
    return copy;
}

function nack(tag) {
    const frame = Buffer.alloc(HEAD + 4 + 8 + 1 + 1);
    frame[0] = 1;
    frame.writeUInt16BE(1, 1);
    frame.writeUInt32BE(13, 3);
    frame.writeUInt32BE(NACK, HEAD);
    frame.writeBigUInt64BE(BigInt(tag), HEAD + 4);
    frame[frame.length - 1] = 0xce;
    return frame;
}

class Pair {
    constructor(client, port) {
        Object.assign(this, { client, published: 0, refused: [] });
        this.server = connect(port, '127.0.0.1');
        this.toServer = new Frames(GREETING, (frame) => this.#onPublished(frame), (data) => this.server.write(data));
        this.toClient = new Frames(0, (frame) => this.#onConfirmed(frame), (data) => client.write(data));
        client.on('data', (chunk) => this.toServer.take(chunk));
        this.server.on('data', (chunk) => this.toClient.take(chunk));
        for (const socket of [client, this.server]) {
            socket.setNoDelay(true);
            socket.on('error', () => {});
            socket.on('close', () => this.end());
        }
    }

    #onPublished(frame) {
        if (methodOf(frame) !== PUBLISH) return [frame];
        this.published += 1;
        if (!this.refuses?.(keyOf(frame))) return [frame];
        this.refused.push(this.published);
        return [unroutable(frame)];
    }

    // A refusal goes before the confirm that covers it: what is settled stays settled.
    #onConfirmed(frame) {
        if (methodOf(frame) !== ACK) return [frame];
        const tag = Number(frame.readBigUInt64BE(HEAD + 4)), isMultiple = (frame[HEAD + 12] & 1) === 1;
        const covered = this.refused.filter((one) => one === tag || (isMultiple && one < tag));
        this.refused = this.refused.filter((one) => !covered.includes(one));
        if (!isMultiple && covered.length > 0) return [nack(tag)];
        return [...covered.map(nack), frame];
    }

    end() {
        this.client.destroy();
        this.server.destroy();
    }
}

export class Refuser {
    static async open(port) {
        const refuser = new Refuser();
        refuser.pairs = new Set();
        refuser.accepted = 0;
        refuser.server = createServer((client) => {
            const pair = new Pair(client, port);
            pair.refuses = refuser.refusesNew;
            refuser.accepted += 1;
            refuser.pairs.add(pair);
            client.on('close', () => refuser.pairs.delete(pair));
        });
        await new Promise((resolve) => refuser.server.listen(0, '127.0.0.1', resolve));
        refuser.port = refuser.server.address().port;
        return refuser;
    }

    // The connections that are open refuse messages whose key begins so; with `always`, later ones too.
    refuse(prefix, { always = false } = {}) {
        const refuses = (key) => key.startsWith(prefix);
        for (const pair of this.pairs) pair.refuses = refuses;
        this.refusesNew = always ? refuses : undefined;
    }

    accept() {
        for (const pair of this.pairs) pair.refuses = undefined;
        this.refusesNew = undefined;
    }

    close() {
        for (const pair of this.pairs) pair.end();
        this.server.close();
    }
}
