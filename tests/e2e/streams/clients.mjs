// Clients for Server-Sent Events: the published `eventsource`, and the bytes of a stream as they come.
import { get } from 'node:http';

import { EventSource } from 'eventsource';

const opened = new Set();
export const closeAll = () => opened.forEach((stream) => stream.close());

// The published client; the token goes where all tokens go, in a header, by way of its own fetch.
// `ready`: each connection waits for it, as behind a balancer that looks at /readyz. By its standard an EventSource gives up at a 503.
export function eventSource(stack, who, query = '', ready = async () => {}) {
    const token = stack.token(who);
    const source = new EventSource(`${stack.url}/v1/events${query}`, {
        fetch: async (input, init) => (await ready(), fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } })),
    });
    opened.add(source);
    return source;
}

// One answer, read as lines. `blocks` are the events as { id, event, data, retry }, heard one after the other.
export class Stream {
    static open(stack, { where = stack.address, who = {}, query = '', headers = {}, method = 'GET' } = {}) {
        const all = { accept: 'text/event-stream', authorization: `Bearer ${stack.token(who)}`, ...headers };
        return new Promise((resolve, reject) => {
            const request = get(`http://${where}/v1/events${query}`, { headers: all, method, agent: false }, (answer) =>
                resolve(new Stream(request, answer)));
            request.on('error', reject);
        });
    }

    constructor(request, answer) {
        opened.add(this);
        Object.assign(this, { request, status: answer.statusCode, headers: answer.headers, text: '', blocks: [], comments: 0 });
        this.waiting = [];
        answer.setEncoding('utf8');
        answer.on('data', (part) => this.#hear(part));
        this.ended = new Promise((resolve) => answer.on('close', resolve));
        answer.on('error', () => {}); // `ended` tells
        this.ended.then(() => this.waiting.splice(0).forEach(({ reject }) => reject(new Error('the stream has ended'))));
    }

    #hear(part) {
        this.text += part;
        for (let end; (end = this.text.indexOf('\n\n')) >= 0; this.text = this.text.slice(end + 2)) this.#take(this.text.slice(0, end));
    }

    #take(text) {
        const block = {};
        for (const line of text.split('\n')) {
            if (line.startsWith(':')) this.comments += 1;
            const [, name, value] = line.match(/^(\w+): (.*)$/) ?? [];
            if (name) block[name] = value;
        }
        if (block.id !== undefined) this.last = block.id;
        if (block.retry !== undefined) this.retry = Number(block.retry);
        if (block.data === undefined) return;
        const event = { ...block, data: JSON.parse(block.data) };
        const waiter = this.waiting.shift();
        if (waiter) waiter.resolve(event);
        else this.blocks.push(event);
    }

    next() {
        if (this.blocks.length > 0) return Promise.resolve(this.blocks.shift());
        return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
    }

    async take(count) {
        const events = [];
        while (events.length < count) events.push(await this.next());
        return events;
    }

    close() {
        this.request.destroy();
    }
}
