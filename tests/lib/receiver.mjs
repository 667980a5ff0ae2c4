// A receiver of webhooks: keeps what came, path by path, and answers as a test wants.
//
//     const receiver = await Receiver.open();
//     receiver.answer('/a', { status: 503, headers: { 'retry-after': '7' }, body: 'not now' });   // or (request, nth) => …
//     const { headers, text, at } = await receiver.next('/a');
//
// An answer that is HANG never comes; a function may take the response itself and return nothing.
import { createServer } from 'node:http';

import { until } from './process.mjs';

export const HANG = Symbol('hang');

export class Receiver {
    static async open() {
        const receiver = new Receiver();
        await new Promise((resolve) => receiver.server.listen(0, '127.0.0.1', resolve));
        receiver.base = `http://127.0.0.1:${receiver.server.address().port}`;
        return receiver;
    }

    constructor() {
        this.got = new Map(); // path → [{ headers, text, at }]
        this.taken = new Map(); // path → how many of them `next` has returned
        this.answers = new Map();
        this.open = new Map(); // path → requests that are not answered yet
        this.most = new Map(); // path → most of these at once
        this.server = createServer((request, response) => this.#on(request, response));
        this.server.keepAliveTimeout = 60_000;
    }

    url(path) {
        return this.base + path;
    }

    answer(path, answer) {
        this.answers.set(path, answer);
    }

    of(path) {
        return this.got.get(path) ?? [];
    }

    #on(request, response) {
        const parts = [], path = request.url;
        this.open.set(path, (this.open.get(path) ?? 0) + 1);
        this.most.set(path, Math.max(this.most.get(path) ?? 0, this.open.get(path)));
        response.on('close', () => this.open.set(path, this.open.get(path) - 1));
        request.on('data', (part) => parts.push(part));
        request.on('end', () => {
            const one = { headers: request.headers, rawHeaders: request.rawHeaders, text: Buffer.concat(parts).toString(), at: Date.now() };
            const all = this.of(path);
            this.got.set(path, [...all, one]);
            this.#reply(this.answers.get(path) ?? { status: 204 }, one, all.length + 1, response);
        });
    }

    #reply(answer, one, nth, response) {
        const said = typeof answer === 'function' ? answer(one, nth, response) : answer;
        if (!said || said === HANG) return;
        const { status = 204, headers = {}, body = undefined, afterMs = 0 } = said;
        setTimeout(() => response.writeHead(status, headers).end(body), afterMs);
    }

    // The next request that came to the path.
    async next(path, ms = 20_000) {
        const nth = this.taken.get(path) ?? 0;
        await until(() => this.of(path).length > nth, ms, `request ${nth + 1} to ${path}`);
        this.taken.set(path, nth + 1);
        return this.of(path)[nth];
    }

    // So many of them, those that came before included.
    async count(path, count, ms = 30_000) {
        await until(() => this.of(path).length >= count, ms, `${count} requests to ${path}`);
        return this.of(path);
    }

    close() {
        this.server.closeAllConnections();
        this.server.close();
    }
}
