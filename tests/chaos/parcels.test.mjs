// Commands of many companies that came at the same time and travel as one message, of which one ends each process that runs it. That one
// is given up after the last try; each of the others has its effect once, and its sender the answer. And their events, which travel as one
// message to the gateways alone.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import amqp from 'amqplib';

import { expectProblem } from '../e2e/api/expect.mjs';
import { newAgent } from '../lib/http.mjs';
import { hearWorkers } from '../lib/members.mjs';
import { companyOf } from '../lib/partition.mjs';
import { Logged, sleep, until } from '../lib/process.mjs';
import { within } from '../lib/size.mjs';
import { build, startStack } from '../lib/stack.mjs';

const TOGETHER = 64;
const PARTITION = 3;
const FATAL = 'Fatal command';
const TRIES = 4; // of a command that came in a parcel: in a batch, with its parcel, and twice alone. One that came alone has three.
const WAIT = { prefer: 'wait=60' };

let stack;
before(async () => {
    stack = await startStack('parcels', {
        gateway: { CORTEX_GATEWAY_PROCESSES: '1', CORTEX_WAIT_MS: '60000' },
        worker: {
            LD_PRELOAD: join(build, 'tests', 'e2e', 'fatal.so'),
            ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:verify_asan_link_order=0',
            CORTEX_TEST_FATAL: FATAL,
            CORTEX_CRASH_DEATHS: '1000',
        },
    });
});
after(() => stack?.stop());

async function companies() {
    const ids = Array.from({ length: TOGETHER }, () => companyOf(PARTITION));
    await stack.run(`INSERT INTO company (id, name) VALUES ${ids.map((id) => `('${id}', 'One of many')`).join(', ')}`);
    const agent = newAgent(TOGETHER);
    return ids.map((company) => ({ company, api: stack.client({ company }, agent) }));
}

// The gateway finds all requests at once, because it could not look while they came. Returns their answers to be.
async function sendTogether(those, bodyOf) {
    await Promise.all(those.map(({ api }) => api.get('/v1/projects'))); // connections are there
    stack.gateway.signal('SIGSTOP');
    const answers = those.map(({ api }, i) => api.post('/v1/projects', bodyOf(i), WAIT));
    await sleep(500);
    stack.gateway.signal('SIGCONT');
    return answers;
}

// A consumer of somebody's own: an array that grows.
async function consume(exchange, pattern) {
    const connection = await amqp.connect(stack.amqpUrl);
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const heard = [];
    await channel.bindQueue(queue, exchange, pattern);
    await channel.consume(queue, (message) => heard.push(message), { noAck: true });
    heard.stop = () => connection.close();
    return heard;
}

const projectsOf = async (company) => (await stack.query(`SELECT count(*) AS rows FROM project WHERE company_id = '${company}'`))[0].rows;

async function expectOneEach(those, answers) {
    for (const [i, { company }] of those.entries()) {
        assert.equal(answers[i].status, 201, `${i}: ${answers[i].text}`);
        assert.equal(await projectsOf(company), 1, `${i}`);
    }
}

// A gateway sends parcels once it has heard for some seconds that every worker reads them. Workers say when they get any.
async function untilParcelsAreSent() {
    const said = await hearWorkers(stack);
    const those = await companies();
    await until(async () => {
        await Promise.all(await sendTogether(those.slice(0, 8), () => ({ name: 'First' })));
        return said.some(({ has_parcels: has }) => has);
    }, within(60_000), 'parcels');
    await said.stop();
}

describe('parcels', () => {
    test('test_parcel_when_one_of_64_commands_kills_its_process_then_it_alone_is_given_up', async (t) => {
        const killer = 41;
        const log = new Logged(stack.worker, 'child.died');
        await untilParcelsAreSent();
        const those = await companies();
        const begun = performance.now();
        const answers = await Promise.all(await sendTogether(those, (i) => ({ name: i === killer ? FATAL : `Project ${i}` })));
        const [fatal] = answers.splice(killer, 1);
        const [{ company }] = those.splice(killer, 1);
        expectProblem(fatal, 500, 'fatal-command');
        await expectOneEach(those, answers);
        assert.equal(await projectsOf(company), 0);
        const deaths = log.of('child.died').filter(({ signal }) => signal === 9).length;
        assert.equal(deaths, TRIES);
        const dead = await stack.query(`SELECT company_id, reason FROM dead_letter`);
        assert.deepEqual(dead.map(({ company_id: id, reason }) => [id, reason]), [[company, 'fatal-command']]);
        t.diagnostic(`${deaths} workers ended; all ${TOGETHER} were answered after ${Math.round(performance.now() - begun)} ms`);
    });

    // What goes to gateways as one message comes to a consumer that is none as it always did.
    test('test_events_when_others_have_bound_then_each_comes_to_them_once_as_a_message_of_its_own', async (t) => {
        const ROUNDS = 3;
        const company = await stack.addCompany('Heard by others');
        const agent = newAgent(TOGETHER);
        const many = Array.from({ length: TOGETHER }, () => ({ company, api: stack.client({ company }, agent) }));
        const [gateways, byCompany, byType] = await Promise.all([
            consume('events.gateways', '#'), consume('events.slots', `*.${company}.#`), consume('events.slots', '*.*.project.deleted')]);
        for (let round = 0; round < ROUNDS; round++) {
            const answers = await Promise.all(await sendTogether(many, (i) => ({ name: `Project ${i}` })));
            assert.deepEqual(answers.map(({ status }) => status), Array(TOGETHER).fill(201));
        }
        const seqs = Array.from({ length: ROUNDS * TOGETHER }, (_, i) => i + 1);
        await until(() => byCompany.length >= seqs.length, within(30_000), 'the others to hear all');
        assert.deepEqual(byCompany.map(({ properties: { headers } }) => headers.seq).sort((a, b) => a - b), seqs);
        assert.ok(byCompany.every(({ properties }) => properties.contentType === 'application/json'));
        assert.deepEqual(byType.map(({ fields }) => fields.routingKey), []);
        const parcels = gateways.filter(({ properties }) => properties.contentType === 'application/vnd.cortex.events').length;
        assert.ok(parcels > 0, 'parcels went to the gateways');
        await Promise.all([gateways, byCompany, byType].map(({ stop }) => stop()));
        t.diagnostic(`${seqs.length} events in ${parcels} parcels and ${gateways.length - parcels} messages`);
    });
});
