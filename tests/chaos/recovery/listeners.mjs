// Listeners of a company's events, of three kinds: the published WebSocket client, Server-Sent Events as they come over the wire, and
// pages. Each keeps its position and sends it after every break. An event too few, too many or out of order is a fault; so is being told
// to reload without a reason. A listener that is told with a reason reads the list and goes on after the position that it was given.
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

import { client, newAgent } from '../../lib/http.mjs';
import { sleep } from '../../lib/process.mjs';
import { Stream } from '../../e2e/streams/clients.mjs';

const AGAIN_MS = 100;

class Listener {
    // where: the address; history: what happened as the first to hear it heard it, Map of seq → id, shared by those of a company.
    constructor(stack, where, company, history, recoverMax) {
        Object.assign(this, { stack, where, company, history, recoverMax });
        this.url = `http://${where}`;
        this.api = client(this.url, stack.token({ company }), newAgent(1));
        this.faults = [];
        this.reloads = []; // { offset, ids }
        this.breaks = 0;
        this.going = true;
    }

    begin({ epoch, offset }) {
        Object.assign(this, { epoch, last: offset });
    }

    take({ seq, id }) {
        if (seq !== this.last + 1) this.fault(`${seq} after ${this.last}`);
        if ((this.history.get(seq) ?? id) !== id) this.fault(`${seq} is ${id}, for others ${this.history.get(seq)}`);
        this.history.set(seq, id);
        this.last = seq;
    }

    async reload(position) {
        const why = position.epoch !== this.epoch ? 'epoch' : 'too old';
        const missed = position.offset - this.last;
        if (why === 'too old' && !(missed > this.recoverMax)) this.fault(`told to reload for ${missed} events (${JSON.stringify(position)})`);
        this.begin(position);
        this.reloads.push({ why, offset: position.offset, ids: await this.#readList() });
    }

    async #readList() {
        const ids = new Set();
        for (let next = '/v1/projects?limit=200'; next; ) {
            const page = await this.ask(next);
            for (const { id } of page.body.data) ids.add(id);
            next = page.headers.link?.match(/<([^>]*)>\s*;\s*rel="?next"?/)?.[1];
        }
        return ids;
    }

    // Until it is answered by more than "not now".
    async ask(path, headers = {}) {
        for (;;) {
            try {
                const answer = await this.api.get(path, headers);
                if (answer.status !== 503) return answer;
            } catch {
                // cut off
            }
            if (!this.going) return { headers: {}, body: { data: [] } };
            this.breaks += 1;
            await sleep(AGAIN_MS);
        }
    }

    fault(text) {
        this.faults.push(`${this.constructor.name}: ${text}`);
    }
}

export class SocketListener extends Listener {
    constructor(...all) {
        super(...all);
        this.client = new Centrifuge(`ws://${this.where}/connection/websocket`, {
            websocket: WebSocket,
            token: this.api.token,
            minReconnectDelay: 20,
            maxReconnectDelay: 500,
        });
        const delays = { minResubscribeDelay: 20, maxResubscribeDelay: 500 };
        this.subscription = this.client.newSubscription(`company:${this.company}`, delays);
        this.subscription.on('publication', ({ offset, data }) => {
            if (offset !== data.seq) this.fault(`offset ${offset} for seq ${data.seq}`);
            this.take(data);
        });
        this.subscription.on('subscribed', (context) => this.#onSubscribed(context));
        // What it does not come back from by itself.
        for (const [one, event] of [[this.subscription, 'unsubscribed'], [this.client, 'disconnected']])
            one.on(event, ({ code, reason }) => this.going && !this.asleep && this.fault(`${event} with ${code} ${reason}`));
    }

    async start() {
        this.subscription.subscribe();
        this.client.connect();
        await this.subscription.ready(30_000);
    }

    #onSubscribed({ wasRecovering, recovered, streamPosition }) {
        if (this.last === undefined) {
            this.begin(streamPosition);
            return;
        }
        this.breaks += 1;
        if (!wasRecovering) this.fault('it came back without its position');
        else if (!recovered) this.reload(streamPosition);
    }

    sleep() {
        this.asleep = true;
        this.client.disconnect();
    }

    wake() {
        this.asleep = false;
        this.client.connect();
    }

    stop() {
        this.going = false;
        this.client.disconnect();
    }
}

export class StreamListener extends Listener {
    async start() {
        this.loop = this.#listen();
        while (this.last === undefined) await sleep(20);
    }

    async #listen() {
        while (this.going) {
            if (!this.asleep) await this.#hear().catch(() => {}); // cut off
            this.breaks += 1;
            await sleep(AGAIN_MS);
        }
    }

    async #hear() {
        const headers = this.last === undefined ? {} : { 'last-event-id': `${this.epoch}:${this.last}` };
        this.stream = await Stream.open(this.stack, { where: this.where, who: { company: this.company }, headers });
        if (this.stream.status !== 200) {
            if (this.stream.status !== 503) this.fault(`status ${this.stream.status}`);
            this.stream.close();
            return;
        }
        for (;;) this.#take(await this.stream.next());
    }

    #take({ event, data }) {
        if (event === 'reload') this.reload(data);
        else if (event !== 'ready') this.take(data);
        else if (this.last === undefined) this.begin(data);
        else if (data.epoch !== this.epoch || data.offset !== this.last) this.fault(`it goes on at ${data.offset} after ${this.last}`);
    }

    sleep() {
        this.asleep = true;
        this.stream?.close();
    }

    wake() {
        this.asleep = false;
    }

    stop() {
        this.going = false;
        this.stream?.close();
    }
}

export class PageListener extends Listener {
    async start() {
        this.#goOn((await this.ask('/v1/events?after=0')).body.next);
        this.loop = this.#turn();
    }

    #goOn(position) {
        this.position = position;
        const [epoch, offset] = position.split(':');
        this.begin({ epoch, offset: Number(offset) });
    }

    async #turn() {
        while (this.going) {
            const { status, body, headers } = await this.ask(`/v1/events?limit=50&after=${this.position}`, { prefer: 'wait=2' });
            if (!this.going) return;
            if (status === 200) {
                body.data.forEach((event) => this.take(event));
                this.position = body.next;
            } else if (status === 410) {
                this.position = headers.link.match(/after=([^>]*)>/)[1];
                const [epoch, offset] = this.position.split(':');
                await this.reload({ epoch, offset: Number(offset) });
            } else {
                this.fault(`status ${status}`);
                await sleep(AGAIN_MS);
            }
        }
    }

    stop() {
        this.going = false;
    }
}
