// A peer on the published `ws`: its handshake, its reader (which checks every frame of ours), its framing; what is sent is up to the case.
import assert from 'node:assert/strict';
import WebSocket, { Sender } from 'ws';

export const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, CONTINUATION = 0;

// One masked frame as octets.
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true } = {}) {
    const data = Buffer.isBuffer(payload) ? payload : Buffer.from(payload);
    const octets = Buffer.concat(Sender.frame(Buffer.from(data), { fin, rsv1: false, opcode, mask, readOnly: false }));
    octets[0] |= rsv << 4;
    return octets;
}

export const closeFrame = (code, reason = '') => {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    return frame(CLOSE, Buffer.concat([payload, Buffer.from(reason)]));
};

export class Peer {
    static open(stack) {
        return new Promise((resolve, reject) => {
            const socket = new WebSocket(`ws://${stack.address}/connection/websocket`, { perMessageDeflate: false, autoPong: true });
            socket.once('error', reject);
            socket.once('open', () => resolve(new Peer(stack, socket)));
        });
    }

    constructor(stack, socket) {
        Object.assign(this, { stack, socket, heard: [], pongs: [], id: 0 });
        socket.on('message', (data) => this.heard.push(JSON.parse(data)));
        socket.on('pong', (data) => this.pongs.push(String(data)));
        socket.removeAllListeners('error');
        socket.on('error', (error) => (this.error = error)); // a frame of ours that `ws` does not accept
        this.closed = new Promise((resolve) => socket.once('close', (code, reason) => resolve({ code, reason: String(reason) })));
    }

    // Octets as they are; `chop`: in pieces of so many.
    async send(octets, chop) {
        const all = Buffer.isBuffer(octets) ? octets : Buffer.concat(octets);
        const step = chop ?? all.length;
        for (let at = 0; at < all.length; at += step) {
            await new Promise((done) => this.socket._socket.write(all.subarray(at, at + step), done));
            if (chop) await new Promise((done) => setImmediate(done));
        }
    }

    // A command that carries `text`, and a check that the answer is the one to it.
    command(text = '') {
        this.id += 1;
        const sent = JSON.stringify({ id: this.id, connect: { token: this.stack.token(), name: text } });
        return { id: this.id, octets: Buffer.from(this.id === 1 ? sent : JSON.stringify({ id: this.id, rpc: { method: 'echo', data: text } })) };
    }

    async answers(id) {
        for (let tries = 0; tries < 500 && !this.heard.some((message) => message.id === id); tries++)
            await new Promise((done) => setTimeout(done, 10));
        assert.ok(this.heard.some((message) => message.id === id), `an answer to ${id}: ${JSON.stringify(this.heard)}`);
    }

    async ponged(count) {
        for (let tries = 0; tries < 500 && this.pongs.length < count; tries++) await new Promise((done) => setTimeout(done, 10));
        return this.pongs;
    }

    // It still lives: a ping is answered, and nothing of ours was refused by `ws`.
    async lives() {
        const before = this.pongs.length;
        this.socket.ping('lives');
        assert.equal((await this.ponged(before + 1)).at(-1), 'lives');
        assert.equal(this.error, undefined);
    }

    async expectClose(code) {
        const goodbye = await Promise.race([this.closed, new Promise((resolve) => setTimeout(resolve, 5000).unref())]);
        assert.equal(goodbye?.code, code);
        assert.equal(this.error, undefined);
        return goodbye;
    }

    async leave() {
        this.socket.close(1000);
        await this.expectClose(1000);
    }
}

// Sends and expects the connection to fail with that code.
export async function fails(stack, octets, code, chop) {
    const peer = await Peer.open(stack);
    await peer.send(octets, chop);
    await peer.expectClose(code);
    return peer;
}
