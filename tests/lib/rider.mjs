// Many light followers of companies' channels, on the published `ws`. Each keeps its position, comes back at once when it is sent away,
// recovers, and checks that its sequence has no gap and no repeat, unless it was told to reload.
import WebSocket from 'ws';

export class Riders {
    // `address`: where the next connection goes, as a load balancer would decide.
    constructor(stack, companies, count, address = () => stack.address) {
        Object.assign(this, { stack, companies, count, address, going: true });
        this.tokens = companies.map((company) => stack.token({ company }));
        this.departures = []; // when a server sent one away
        this.returns = []; // when one that had been in began to connect again
        this.codes = new Map();
        this.faults = [];
        this.reloads = 0;
        this.riders = Array.from({ length: count }, (_, i) => ({ of: i % companies.length, last: undefined, epoch: undefined }));
        this.heldUp = 0;
    }

    // `together` handshakes at a time.
    async start(together = 50) {
        const waiting = [...this.riders];
        await Promise.all(Array.from({ length: together }, async () => {
            for (let rider; (rider = waiting.pop()); ) await this.#ride(rider);
        }));
        this.#watchLoop();
    }

    stop() {
        this.going = false;
        clearInterval(this.watch);
        for (const { socket } of this.riders) socket?.terminate();
    }

    // Forgets what was counted so far.
    countAnew() {
        this.departures.length = this.returns.length = 0;
        this.codes.clear();
        this.heldUp = 0;
    }

    // seqs[i]: the last event of the i-th company.
    all(seqs) {
        return this.riders.every(({ of, last }) => last >= seqs[of]);
    }

    areIn() {
        return this.riders.filter(({ isIn }) => isIn).length;
    }

    // How long this process did not turn, at worst: by so much do the times above lie.
    #watchLoop() {
        let before = Date.now();
        this.watch = setInterval(() => {
            const now = Date.now();
            this.heldUp = Math.max(this.heldUp, now - before);
            before = now;
        }, 10);
    }

    #ride(rider) {
        return new Promise((resolve) => {
            const again = () => (this.going ? setTimeout(() => this.#ride(rider).then(resolve), 20 + 80 * Math.random()) : resolve());
            const socket = new WebSocket(`ws://${this.address()}/connection/websocket`, { perMessageDeflate: false });
            rider.socket = socket;
            if (rider.epoch) this.returns.push(Date.now());
            let arrived = false;
            socket.on('open', () => {
                const position = rider.epoch ? { recover: true, epoch: rider.epoch, offset: rider.last } : {};
                socket.send(`${JSON.stringify({ id: 1, connect: { token: this.tokens[rider.of] } })}\n${JSON.stringify(
                    { id: 2, subscribe: { channel: `company:${this.companies[rider.of]}`, ...position } })}`);
            });
            socket.on('message', (data) => {
                for (const line of String(data).split('\n')) this.#hear(rider, socket, JSON.parse(line));
                if (arrived || !rider.isIn) return;
                arrived = true;
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
