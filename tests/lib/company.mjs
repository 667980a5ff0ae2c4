// A company that sends its commands one after the other, each as soon as the one before it was accepted, and reads them back in the order of
// its events.
import assert from 'node:assert/strict';

import { sleep } from './process.mjs';
import { validAround } from './token.mjs';

const CLOCKS_OFF_S = 4 * 3600; // more than a test sets the clock ahead or back
const PATIENCE_MS = 120_000; // far longer than any fault lasts: what is not answered by then, is stuck

export class Company {
    constructor(stack, id, agent) {
        Object.assign(this, { stack, id, agent, accepted: [], ids: [], going: true, probes: 0 });
        this.api = stack.client({ company: id, ...validAround(CLOCKS_OFF_S) }, agent);
        this.done = this.#send();
        this.done.catch(() => {}); // stop() tells
    }

    async #send() {
        for (let n = 0; this.going; n++) {
            this.ids.push(await this.#create(`${n}`, { prefer: 'respond-async' }, 202));
            this.accepted.push(`${n}`);
        }
    }

    // Sent again with its key until it has that status: what it is told in the end is what counts.
    async #create(name, headers, status) {
        const key = `${this.id}-${name}`, deadline = performance.now() + PATIENCE_MS;
        let answer;
        while (!this.abandoned && performance.now() < deadline) {
            answer = await this.api.post('/v1/projects', { name }, { ...headers, 'idempotency-key': key }).catch((error) => ({ text: error.message }));
            if (answer.status === status) return answer.body.id ?? answer.headers.location.split('/').pop();
            await sleep(20);
        }
        throw new Error(this.abandoned ? 'abandoned' : `no ${status} within ${PATIENCE_MS} ms; the last answer to ${key}: ${answer.status} ${answer.text}`);
    }

    // One command more, until it is done.
    async probe() {
        this.ids.push(await this.#create(`probe ${this.probes++}`, { prefer: 'wait=2' }, 201));
    }

    async stop() {
        this.going = false;
        await this.done;
    }

    // When its test has failed: whatever is under way ends without an answer.
    abandon() {
        this.abandoned = true;
    }

    expect(events, projects, deadLetters) {
        assert.deepEqual(events.map(({ seq }) => seq), events.map((_, i) => i + 1), 'events numbered without gaps');
        assert.deepEqual(events.map(({ name }) => name).filter((name) => !name.startsWith('probe')), this.accepted,
            'each once, in the order in which they were accepted');
        assert.deepEqual(events.map(({ command }) => command).sort(), [...this.ids].sort(), 'one event a command');
        assert.deepEqual(projects.sort(), [...this.ids].sort(), 'one row a command');
        assert.equal(deadLetters, 0, 'no dead letters');
    }
}

// Of all of them at once: every accepted command has one row and one event, the events have no gap and the order in which they were accepted.
export async function expectPromisesKept(companies) {
    const [{ stack }] = companies, ids = companies.map(({ id }) => `'${id}'`).join(', ');
    const rows = await stack.query(`SELECT id,
        (SELECT json_agg(json_build_object('seq', seq, 'name', data ->> 'name', 'command', command_id) ORDER BY seq)
            FROM events WHERE company_id = company.id) AS events,
        (SELECT json_agg(p.id) FROM project AS p WHERE p.company_id = company.id) AS projects,
        (SELECT count(*) FROM dead_letter WHERE company_id = company.id) AS dead_letters FROM company WHERE id IN (${ids})`);
    assert.equal(rows.length, companies.length);
    for (const { id, events, projects, dead_letters: deadLetters } of rows) companies.find((company) => company.id === id).expect(events, projects, deadLetters);
}
