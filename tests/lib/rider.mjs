// Many light followers of one channel, on the published `ws`: each keeps its position, comes back at once when it is sent away, recovers,
// and checks that its sequence has no gap and no repeat, unless it was told to reload.
import WebSocket from 'ws';

export class Riders {
    constructor(stack, company, count) {
        Object.assign(this, { stack, company, count, going: true });
        this.token = stack.token({ company });
        this.departures = []; // when a server closed one
        this.arrivals = []; // when one had its answer again
        this.codes = new Map();
        this.faults = [];
        this.reloads = 0;
        this.riders = Array.from({ length: count }, () => ({ last: undefined, epoch: undefined, socket: undefined }));
    }

    // `together` handshakes at a time.
    async start(together = 50) {
        const waiting = [...this.riders];
        await Promise.all(Array.from({ length: together }, async () => {
            for (let rider; (rider = waiting.pop()); ) await this.#ride(rider);
        }));
    }

    stop() {
        this.going = false;
        for (const { socket } of this.riders) socket?.terminate();
    }

    all(seq) {
        return this.riders.every(({ last }) => last >= seq);
    }

    #ride(rider) {
        return new Promise((resolve) => {
            const again = () => (this.going ? setTimeout(() => this.#ride(rider).then(resolve), 20 + 80 * Math.random()) : resolve());
            const socket = new WebSocket(`ws://${this.stack.address}/connection/websocket`, { perMessageDeflate: false });
            rider.socket = socket;
            let arrived = false;
            socket.on('open', () => {
                const position = rider.epoch ? { recover: true, epoch: rider.epoch, offset: rider.last } : {};
                socket.send(`${JSON.stringify({ id: 1, connect: { token: this.token } })}\n${JSON.stringify(
                    { id: 2, subscribe: { channel: `company:${this.company}`, ...position } })}`);
            });
            socket.on('message', (data) => {
                for (const line of String(data).split('\n')) this.#hear(rider, socket, JSON.parse(line));
                if (arrived || rider.epoch === undefined || !rider.isIn) return;
                arrived = true;
                this.arrivals.push(Date.now());
                resolve();
            });
            socket.on('error', () => {}); // 'close' follows
            socket.on('close', (code) => {
                rider.isIn = false;
                if (!this.going) return;
                this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
                if (code === 3001) this.departures.push(Date.now());
                if (arrived) this.#ride(rider);
                else again();
            });
        });
    }

    #hear(rider, socket, message) {
        if (Object.keys(message).length === 0) socket.send('{}');
        else if (message.error) socket.terminate();
        else if (message.subscribe) this.#enter(rider, message.subscribe);
        else if (message.push?.pub) this.#take(rider, message.push.pub.offset);
        else if (message.push?.unsubscribe) socket.terminate();
    }

    #enter(rider, { epoch, offset, recovered, was_recovering: asked, publications = [] }) {
        rider.isIn = true;
        rider.epoch = epoch;
        if (asked && !recovered) this.reloads += 1;
        if (!asked || !recovered) rider.last = offset;
        for (const publication of publications) this.#take(rider, publication.offset);
    }

    #take(rider, offset) {
        if (offset !== rider.last + 1) this.faults.push(`${offset} after ${rider.last}`);
        rider.last = offset;
    }
}

// The most of these times in any window of that many milliseconds.
export function mostWithin(times, ms) {
    const sorted = [...times].sort((a, b) => a - b);
    let most = 0;
    for (let from = 0, to = 0; to < sorted.length; to++) {
        while (sorted[to] - sorted[from] >= ms) from++;
        most = Math.max(most, to - from + 1);
    }
    return most;
}
