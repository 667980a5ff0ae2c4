// One company has far more commands than its partition's window holds. They are parked in PostgreSQL and run from there, also when the
// workers are killed meanwhile and when more commands come. Nothing is lost, done twice or out of order, for this company and for those
// that share its queue; the others are served while it still waits.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { newAgent } from '../lib/http.mjs';
import { companyOf } from '../lib/partition.mjs';
import { until } from '../lib/process.mjs';
import { size, within } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';

const QUEUED = size(6_000); // of the noise, before a worker is there
const MORE = size(1_000); // of it, while it is parked
const OTHERS = 3;
const EACH = size(100); // of each of them, behind all that is queued
const KILLS = 1; // of all workers at once; who is at work alone each time may be taken for what kills them (workers/engine/records/begun_mark.h)
const COMMAND_S = 0.02; // of the noise, in the database: so that it lasts until the kills
const WITHIN_MS = within(60_000); // far from what it takes: a machine under load

let stack;
before(async () => {
    stack = await startStack('parking', {
        worker: { CORTEX_WORKER_PROCESSES: '2', CORTEX_PREFETCH: '128', CORTEX_PARK_MAX: '16', CORTEX_COMPANY_SHARE: '2', CORTEX_CRASH_DEATHS: '1000' },
    });
});
after(() => stack?.stop());

// Sends its commands one after the other, each when the one before it was accepted.
class Company {
    constructor(id, agent) {
        Object.assign(this, { id, accepted: [], api: stack.client({ company: id }, agent) });
    }

    async send(count) {
        for (let i = 0; i < count; i++) {
            const name = `${this.accepted.length}`;
            const answer = await this.api.post('/v1/projects', { name }, { prefer: 'respond-async' });
            assert.equal(answer.status, 202);
            this.accepted.push(name);
        }
    }

    async names() {
        const events = await stack.query(`SELECT data ->> 'name' AS name FROM events WHERE company_id = '${this.id}' ORDER BY seq`);
        return events.map(({ name }) => name);
    }
}

function workers() {
    const log = readFileSync(stack.worker.log, 'utf8');
    return readdirSync('/proc').filter((entry) => log.includes(`"pid":${entry},"event":"member.joined"`)).map(Number);
}

const count = async (from) => (await stack.query(`SELECT count(*) AS rows FROM ${from}`))[0].rows;

describe('parking', () => {
    test('test_backlog_when_workers_are_killed_while_it_is_parked_then_nothing_is_lost_doubled_or_out_of_order', async (t) => {
        const agent = newAgent(1 + OTHERS);
        const [noise, ...others] = Array.from({ length: 1 + OTHERS }, () => new Company(companyOf(2), agent));
        for (const company of [noise, ...others]) await stack.addCompany('Company', company.id);
        await stack.run(`CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.company_id = '${noise.id}' THEN PERFORM pg_sleep(${COMMAND_S}); END IF; RETURN NEW; END $$;
            CREATE TRIGGER linger BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION linger()`);
        await stack.worker.stop();
        await noise.send(QUEUED);
        for (const company of others) await company.send(EACH);
        await stack.worker.start();

        const done = () => count(`inbox WHERE company_id = '${noise.id}'`);
        const parked = () => count(`deferred WHERE company_id = '${noise.id}' AND reason = 'turn'`);
        await until(async () => (await parked()) > 0, WITHIN_MS, 'commands to be parked');
        const sending = noise.send(MORE);
        let most = 0, kills = 0;
        for (let left = await parked(); kills < KILLS && left > 0; left = await parked()) {
            most = Math.max(most, left);
            const before = await done();
            for (const pid of workers()) process.kill(pid, 'SIGKILL');
            kills++;
            await until(async () => (await done()) > before + 10 || (await parked()) === 0, WITHIN_MS, `the work to go on after ${kills} kills`);
        }
        await sending;
        const othersAreDone = async () => (await Promise.all(others.map((company) => company.names()))).every(({ length }) => length === EACH);
        await until(othersAreDone, WITHIN_MS, 'the others');
        const left = noise.accepted.length - (await done());
        await until(async () => (await done()) === noise.accepted.length, 2 * WITHIN_MS, 'the noise');
        agent.destroy();

        for (const company of [noise, ...others])
            assert.deepEqual(await company.names(), company.accepted, 'each once, in the order in which they were accepted');
        await until(async () => (await count('begun_mark')) === 0, WITHIN_MS, 'the begun marks to go');
        assert.deepEqual([await count('deferred'), await count('dead_letter')], [0, 0]);
        assert.ok(kills > 0 && most > 0, 'workers were killed while it was parked');
        t.diagnostic(`${noise.accepted.length} commands, up to ${most} seen parked, ${kills} kills; ${left} of them were left when the others were done`);
    });
});
