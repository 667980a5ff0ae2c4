// Requests that are made from the API document: valid ones and broken ones for every operation. None ends in a status that the document
// does not name, in a 500, or in a body that is not as described; a refusal points at what is wrong.
//
// CORTEX_TEST_SEED: the seed that a run before has printed; its requests are sent again.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import fc from 'fast-check';

import { Described } from '../lib/described.mjs';
import { send } from '../lib/http.mjs';
import { root } from '../lib/servers.mjs';
import { size } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';
import { readResources } from '../lib/tables.mjs';
import { operationsOf, Requests } from './generated/requests.mjs';
import { World } from './generated/world.mjs';

const RUNS = size(200);
const SEED = Number(process.env.CORTEX_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const SHOWN = 3; // of the failures of a test
const REFUSED = [404, 409, 412, 422];
const SHARE = 0.4; // of the valid requests of an operation

const stack = await startStack('generated', { gateway: { CORTEX_WAIT_MS: '60000' }, pools: ['webhooks'] });
const { body: document } = await send(`${stack.url}/openapi.json`);
const described = new Described(document);
const folder = join(root, 'schemas', 'messages');
const resources = readResources(folder).map((resource) => ({ ...resource, title: JSON.parse(readFileSync(join(folder, `${resource.name}.json`), 'utf8')).title }));
const operations = operationsOf(document).filter(({ id }) => id !== 'receiveHook'); // whose requests are signed: e2e/hooks
const world = new World(stack, resources, operations);
const requests = new Requests(world);
console.log(`# CORTEX_TEST_SEED=${SEED}`);

await world.prepare();
after(() => stack.stop());

const say = ({ method, path, query, headers, body, text }) =>
    `${method} ${path}${query.length > 0 ? `?${query.map((pair) => pair.join('=')).join('&')}` : ''}\n${JSON.stringify(headers)}\n${text ?? JSON.stringify(body)}`;

// A server that is busy asks for another try.
async function ask(operation, request) {
    const { method, path, query, headers, body, text } = request;
    for (let tries = 0; ; tries++) {
        const target = query.length > 0 ? `${path}?${query.map(([name, value]) => `${encodeURIComponent(name)}=${value}`).join('&')}` : path;
        const answer = await world.client(operation).call(method, target, { headers, body: text ?? (body === undefined ? undefined : JSON.stringify(body)) });
        if (answer.status !== 503 || tries === 20) return answer;
        await new Promise((resolve) => setTimeout(resolve, 500));
    }
}

// RFC 6901. Returns whether the value has the place, or, for a member that is missing, what it is missing in.
function resolves(value, pointer) {
    const parts = pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    let at = value;
    for (const [i, part] of parts.entries()) {
        if (at === null || typeof at !== 'object') return false;
        if (!Object.hasOwn(at, part)) return i === parts.length - 1;
        at = at[part];
    }
    return true;
}

function expectPointers(request, answer) {
    for (const { pointer, detail } of answer.body.errors ?? []) {
        assert.ok(typeof detail === 'string' && detail.length > 0);
        if (pointer.startsWith('?')) assert.ok(request.query.some(([name]) => name === pointer.slice(1)), `${pointer} is no parameter of the request`);
        else if (pointer === '' || pointer.startsWith('/')) assert.ok(resolves(request.body, pointer), `${pointer} is no place of the body`);
        else assert.ok(request.headers[pointer.toLowerCase()] !== undefined, `${pointer} is no header of the request`);
    }
}

function expectDescribed(operation, request, answer) {
    assert.ok(answer.status < 500, `${answer.status}`);
    described.expectAnswer(operation, answer, { isPart: request.query.some(([name]) => name === 'fields') });
    if (answer.status >= 400) expectPointers(request, answer);
}

const hash = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) | 0, 7);

// Runs `check` on as many requests as there are to be, each operation with a seed of its own that follows from the one of the run.
async function each(operation, what, check) {
    const failures = [];
    await fc.assert(fc.asyncProperty(fc.gen(), async (g) => {
        const request = await requests[what](g, operation);
        if (!request) return;
        const answer = await ask(operation, request);
        try {
            expectDescribed(operation, request, answer);
            check(request, answer);
        } catch (error) {
            failures.push([`${request.broken?.what ?? ''} ${error.message}`, `→ ${answer.status} ${answer.text}`, say(request)].map((one) => one.slice(0, 1000)).join('\n'));
        }
    }), { seed: SEED ^ hash(`${operation.id} ${what}`), numRuns: RUNS });
    assert.equal(failures.length, 0, `${failures.length} of ${RUNS}, with CORTEX_TEST_SEED=${SEED}:\n\n${failures.slice(0, SHOWN).join('\n\n')}`);
}

// Whether most of them were really accepted. What is left is refused for what the schemas do not say: a rule, what is there already. A
// version that a request asks for is a guess, so an answer that says so does not count.
function expectMostDone({ id }, answers) {
    const judged = answers.filter(({ status }) => status !== 412);
    const done = judged.filter(({ status }) => status < 300).length;
    const refused = judged.filter(({ status }) => status >= 400).map(({ status, text }) => `${status} ${text}`.slice(0, 300));
    assert.ok(done > 0 && done >= judged.length * SHARE, `${id}: only ${done} of ${judged.length} were done:\n${refused.slice(0, 5).join('\n')}`);
}

describe('requests made from the API document', { concurrency: 32 }, () => {
    for (const operation of operations) {
        test(`test_${operation.id}_when_requests_are_valid_then_done_or_refused_as_described`, async () => {
            const answers = [];
            await each(operation, 'valid', (request, answer) => {
                answers.push(answer);
                assert.ok(answer.status < 400 || REFUSED.includes(answer.status), 'a valid request');
                world.learn(operation, answer, request.above);
            });
            expectMostDone(operation, answers);
        });

        test(`test_${operation.id}_when_requests_are_broken_then_refused_with_a_pointer_to_the_place`, async () => {
            await each(operation, 'broken', ({ broken }, answer) => {
                assert.ok(broken.statuses.includes(answer.status), `expected ${broken.statuses}`);
                const pointers = (answer.body.errors ?? []).map(({ pointer }) => pointer);
                if (broken.pointer !== undefined) assert.ok(pointers.includes(broken.pointer), `points at ${JSON.stringify(pointers)} and not at "${broken.pointer}"`);
                for (const name of broken.names ?? []) assert.ok(answer.body.errors.some(({ detail }) => detail.includes(name)), `does not say that there is ${name}`);
                if (broken.name) assert.ok(pointers.includes(broken.name), `points at ${JSON.stringify(pointers)} and not at ${broken.name}`);
            });
        });
    }
});
