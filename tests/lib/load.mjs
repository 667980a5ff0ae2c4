// Creates projects over keep-alive connections, each as fast as its answers come, until told to stop; remembers what was accepted.
import { randomUUID } from 'node:crypto';

import { newAgent } from './http.mjs';
import { sleep } from './process.mjs';

export class Load {
    // limit: stop by itself after so many accepted; pause: milliseconds after each
    constructor(stack, company, { connections = 16, headers = {}, limit = Infinity, pause = 0, url = stack.url } = {}) {
        this.agent = newAgent(connections);
        this.api = stack.client({ company }, this.agent, url);
        this.pause = pause;
        Object.assign(this, { connections, headers, limit });
        this.accepted = []; // ids of what was answered with 201 or 202
        this.others = []; // every other answer
        this.going = false;
    }

    start() {
        this.going = true;
        this.workers = Array.from({ length: this.connections }, () => this.#run());
    }

    // Ends the requests that are under way in peace.
    async stop() {
        this.going = false;
        await Promise.all(this.workers);
        this.agent.destroy();
    }

    // Until `limit` have been accepted.
    async finished() {
        await Promise.all(this.workers);
        this.agent.destroy();
    }

    // A refused command is sent again with its key, as a careful client does; what it is told in the end is what counts.
    async #run() {
        while (this.going && this.accepted.length < this.limit) {
            const key = randomUUID();
            while (this.going && !(await this.#try(key))) await sleep(50);
            if (this.pause > 0) await sleep(this.pause);
        }
    }

    async #try(key) {
        let answer;
        try {
            answer = await this.api.post('/v1/projects', { name: key }, { ...this.headers, 'idempotency-key': key });
        } catch (error) {
            this.others.push({ status: 0, error, headers: {} });
            return false;
        }
        const id = answer.status === 201 ? answer.body.id : answer.status === 202 ? answer.headers.location.split('/').pop() : undefined;
        if (id === undefined) this.others.push(answer);
        else this.accepted.push(id);
        return id !== undefined;
    }
}

export function percentile(values, share) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
