// Reads on a streaming replica that is two seconds late: people find what they wrote, whichever gateway process answers, and nobody is told
// that something does not exist which does. Two gateways of two processes each, as on two hosts.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { newAgent } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';
import { ensureServers, replica } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';

const LATE_MS = 2000;
const TIMES = 50;
const shared = {};

before(async () => {
    await ensureServers();
    shared.stack = await startStack('replica');
    await replica.start(LATE_MS);
    const url = await replica.url('cortex_gateway', shared.stack.name);
    shared.gateways = [];
    for (let i = 0; i < 2; i++) shared.gateways.push(await shared.stack.addGateway({ CORTEX_READ_DATABASE_URL: url }));
});
after(async () => {
    await shared.stack?.stop();
    await replica.stop();
});

// Each request over a connection of its own, so that any process of that gateway may get it.
function somebody(who = {}) {
    const user = { user: randomUUID(), ...who };
    return shared.gateways.map(({ url }) => shared.stack.client(user, newAgent(0), url));
}

async function newProject(api) {
    const answer = await api.post('/v1/projects', { name: `Bridge ${randomUUID()}` });
    assert.equal(answer.status, 201, answer.text);
    return answer.body;
}

describe('replica', () => {
    test('test_get_right_after_201_then_200_from_every_process', async () => {
        const [here, there] = somebody();
        for (let i = 0; i < TIMES; i++) {
            const { id } = await newProject(here);
            for (const api of [here, there]) assert.equal((await api.get(`/v1/projects/${id}`)).status, 200, `case ${i}`);
        }
    });

    test('test_get_when_somebody_else_made_it_then_the_primary_is_asked', async () => {
        const [maker] = somebody(), [, reader] = somebody();
        for (let i = 0; i < TIMES; i++) {
            const { id } = await newProject(maker);
            assert.equal((await reader.get(`/v1/projects/${id}`)).status, 200, `case ${i}`);
            assert.equal((await reader.get(`/v1/projects/${id}/tasks`)).status, 200, `case ${i}`);
        }
        assert.equal((await reader.get(`/v1/projects/${randomUUID()}`)).status, 404);
    });

    // A stale version has a row, so only the knowledge of who wrote helps.
    test('test_get_right_after_a_change_then_the_new_version_from_every_process', async () => {
        const [here, there] = somebody({ company: await shared.stack.addCompany() });
        const { id } = await newProject(here);
        for (let i = 0; i < TIMES; i++) {
            const name = `Changed ${i}`;
            assert.equal((await here.patch(`/v1/projects/${id}`, { name })).status, 200);
            for (const api of [here, there]) {
                assert.equal((await api.get(`/v1/projects/${id}`)).body.name, name);
                assert.equal((await api.get('/v1/projects')).body.data.find((project) => project.id === id)?.name, name);
            }
        }
        assert.equal((await there.delete(`/v1/projects/${id}`)).status, 204);
        assert.equal((await here.get(`/v1/projects/${id}`)).status, 404);
    });

    test('test_operation_when_it_has_succeeded_then_what_it_made_is_there', async () => {
        const [here, there] = somebody();
        const { id } = await newProject(here);
        const accepted = await here.patch(`/v1/projects/${id}`, { name: 'Later' }, { prefer: 'respond-async' });
        assert.equal(accepted.status, 202);
        await until(async () => (await there.get(accepted.headers.location)).body.status === 'succeeded', 30_000, 'the operation');
        assert.equal((await there.get(`/v1/projects/${id}`)).body.name, 'Later');
    });

    // Else the replica would serve nobody.
    test('test_get_when_nobody_has_written_lately_then_the_replica_answers', async () => {
        const company = await shared.stack.addCompany();
        const [maker] = somebody({ company }), [reader] = somebody({ company });
        const { id, name } = await newProject(maker);
        await until(async () => (await reader.get('/v1/projects')).body.data.some((project) => project.id === id), 30_000, 'the replica');
        assert.equal((await maker.patch(`/v1/projects/${id}`, { name: 'New' })).status, 200);
        assert.equal((await reader.get(`/v1/projects/${id}`)).body.name, name, 'the reader is served by a replica that is late');
        await until(async () => (await reader.get(`/v1/projects/${id}`)).body.name === 'New', 30_000, 'the replica');
    });

    test('test_get_when_the_replica_is_gone_and_the_user_has_written_then_the_primary_answers', async () => {
        const [here, there] = somebody();
        const { id } = await newProject(here);
        await replica.stop();
        assert.equal((await there.get(`/v1/projects/${id}`)).status, 200);
    });
});
