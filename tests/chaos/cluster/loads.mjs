// Who uses a cluster while its nodes are lost: companies that write without a pause, and an operator who looks. Each notes for how long it
// got nothing right.
import { randomUUID } from 'node:crypto';

import { newAgent } from '../../lib/http.mjs';
import { sleep } from '../../lib/process.mjs';

// The longest time without a good answer.
export class Spells {
    constructor() {
        this.countAnew();
    }

    countAnew() {
        this.longest = 0;
        this.since = undefined;
        this.bad = new Map();
    }

    good() {
        this.longest = this.now();
        this.since = undefined;
    }

    wrong(what) {
        this.since ??= performance.now();
        this.bad.set(what, (this.bad.get(what) ?? 0) + 1);
    }

    // With the spell that goes on.
    now() {
        return Math.max(this.longest, this.since === undefined ? 0 : performance.now() - this.since);
    }
}

const CATCH_UP_MS = 1000;

// One company's writes, one after the other, so many in a second; a refused one is sent again with its key. Those that a slow answer
// delays follow at once, as far as it was no longer than CATCH_UP_MS.
export class Writer {
    constructor(stack, company, perSecond) {
        Object.assign(this, { company, period: 1000 / perSecond, accepted: [], spells: new Spells() });
        this.agent = newAgent(1);
        this.api = stack.client({ company }, this.agent);
    }

    start() {
        this.going = true;
        this.ended = this.#run();
    }

    async stop() {
        this.going = false;
        await this.ended;
        this.agent.destroy();
    }

    async #run() {
        let due = performance.now() + Math.random() * this.period;
        while (this.going) {
            const early = due - performance.now();
            if (early > 0) await sleep(early);
            const key = randomUUID();
            let id;
            while (!(id = await this.#try(key)) && this.going) await sleep(50);
            if (id) this.accepted.push(id);
            due = Math.max(due + this.period, performance.now() - CATCH_UP_MS);
        }
    }

    async #try(key) {
        const sent = performance.now();
        const answer = await this.api.post('/v1/projects', { name: key }, { 'idempotency-key': key }).catch(({ code }) => ({ status: code }));
        if (answer.status === 201 || answer.status === 202) {
            this.spells.good();
            this.lastRight = sent;
            return answer.status === 201 ? answer.body.id : answer.headers.location.split('/').pop();
        }
        this.spells.since ??= sent;
        this.spells.wrong(`${answer.status} ${answer.body?.type?.split('/').pop()}`);
        return undefined;
    }
}

// What operators do, each task every quarter of a second; `isRight` judges the answer. `lastRight` is when the last right one was asked for.
export class Operator {
    constructor(stack, requests) {
        this.api = stack.client({ role: 'super_admin' });
        this.tasks = Object.entries(requests).map(([name, request]) => ({ name, ...request, spells: new Spells() }));
    }

    start() {
        this.going = true;
        this.ended = Promise.all(this.tasks.map((task) => this.#run(task)));
    }

    async stop() {
        this.going = false;
        await this.ended;
    }

    // A request that hangs counts from when it was sent.
    async #run(task) {
        while (this.going) {
            const sent = performance.now();
            const answer = await task.send(this.api).catch(({ code }) => ({ status: code }));
            if (answer.status === 200 && task.isRight(answer.body)) {
                task.spells.good();
                task.lastRight = sent;
            } else {
                task.spells.since ??= sent;
                task.spells.wrong(`${answer.status} ${answer.status === 200 ? JSON.stringify(answer.body).slice(0, 200) : answer.body?.detail}`);
            }
            await sleep(250);
        }
    }
}
