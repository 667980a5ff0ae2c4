// Follows a company's channel with the published centrifuge client, as an app would. It keeps what it has seen, comes back after a break and
// recovers; when the server cannot give it everything that it missed, it reads the list.
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

export class Follower {
    constructor(stack, company) {
        this.api = stack.client({ company });
        this.seen = new Map(); // seq → id, as told by events
        this.read = new Set(); // ids, as read after a gap
        this.breaks = 0;
        this.faults = [];
        this.client = new Centrifuge(`ws://${stack.address}/connection/websocket`, {
            websocket: WebSocket,
            token: stack.token({ company }),
            minReconnectDelay: 50,
            maxReconnectDelay: 500,
        });
        this.subscription = this.client.newSubscription(`company:${company}`, { minResubscribeDelay: 50, maxResubscribeDelay: 500 });
        this.subscription.on('publication', (publication) => this.#on(publication));
        this.subscription.on('subscribed', (context) => this.#onSubscribed(context));
        this.subscription.on('error', (context) => this.faults.push(context.error));
    }

    async start() {
        this.subscription.subscribe();
        this.client.connect();
        await this.subscription.ready(30_000);
    }

    stop() {
        this.client.disconnect();
    }

    // The offset is the company's sequence: a number told twice, or lower than the one before, is a broken promise.
    #on({ offset, data }) {
        if (offset !== data.seq) this.faults.push(new Error(`offset ${offset} for seq ${data.seq}`));
        if (offset <= this.last) this.faults.push(new Error(`${offset} after ${this.last}`));
        this.last = offset;
        this.seen.set(data.seq, data.id);
    }

    #onSubscribed({ wasRecovering, recovered, streamPosition }) {
        if (!wasRecovering) return;
        this.breaks += 1;
        if (recovered) return;
        this.last = streamPosition?.offset ?? this.last;
        this.mustRead = true;
    }

    // What it knows of, after asking for what it missed.
    async known() {
        if (this.mustRead) await this.#readAll();
        return new Set([...this.seen.values(), ...this.read]);
    }

    async #readAll() {
        for (let next = '/v1/projects?limit=200'; next; ) {
            const page = await this.api.get(next);
            if (page.status !== 200) throw new Error(`${next}: ${page.status} ${page.text}`);
            for (const project of page.body.data) this.read.add(project.id);
            next = page.headers.link?.match(/<([^>]*)>\s*;\s*rel="?next"?/)?.[1];
        }
    }
}
