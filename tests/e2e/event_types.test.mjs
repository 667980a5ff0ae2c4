// GET /v1/event-types: every type of events, with an example that is as the API document says.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { expectStatus } from './api/expect.mjs';
import { Described } from '../lib/described.mjs';
import { startStack } from '../lib/stack.mjs';

let stack;
before(async () => { stack = await startStack('event_types'); });
after(() => stack?.stop());

describe('types of events', () => {
    test('test_event_types_when_listed_then_those_of_the_document_with_examples_that_it_describes', async () => {
        const api = stack.client({ role: 'developer' });
        const { body: document } = expectStatus(await api.get('/openapi.json'), 200);
        const answer = expectStatus(await api.get('/v1/event-types'), 200), described = new Described(document);
        described.expect('listEventTypes', answer);
        const { mapping } = document.components.schemas.Event.discriminator;
        assert.deepEqual(answer.body.data.map(({ type }) => type).sort(), Object.keys(mapping).sort());
        for (const { type, description, example } of answer.body.data) {
            assert.match(description, /^An? [a-z ]+\.$/);
            assert.equal(example.type, type);
            // The example of a webhook has the members of an event, and `timestamp` in place of `at`.
            const { timestamp, ...event } = example;
            described.expectSchema(mapping[type].split('/').pop(), { ...event, at: timestamp });
        }
    });

    test('test_event_types_when_the_tag_is_known_then_304_and_without_a_token_401', async () => {
        const api = stack.client();
        const { headers: { etag } } = expectStatus(await api.get('/v1/event-types'), 200);
        assert.equal((await api.get('/v1/event-types', { 'if-none-match': etag })).status, 304);
        assert.equal((await api.get('/v1/event-types', { authorization: '' })).status, 401);
    });

    test('test_event_types_when_something_happens_then_it_is_one_of_them', async () => {
        const api = stack.client();
        expectStatus(await api.post('/v1/projects', { name: 'Bridge' }), 201);
        const types = new Set(expectStatus(await api.get('/v1/event-types'), 200).body.data.map(({ type }) => type));
        const page = expectStatus(await api.get(`/v1/events?after=0&channels=company:${stack.company}`, { accept: 'application/json' }), 200);
        assert.ok(page.body.data.length > 0);
        for (const { type } of page.body.data) assert.ok(types.has(type), type);
    });
});
