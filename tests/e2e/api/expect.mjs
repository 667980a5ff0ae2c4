// Assertions that several subjects share.
import assert from 'node:assert/strict';

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function expectStatus(answer, status) {
    assert.equal(answer.status, status, `expected ${status}, got ${answer.status}: ${answer.text.slice(0, 500)}`);
    return answer;
}

// RFC 9457
export function expectProblem(answer, status, slug) {
    expectStatus(answer, status);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.equal(answer.body.status, status);
    assert.equal(answer.body.type, `/problems/${slug}`);
    assert.equal(answer.body.instance, answer.headers['x-request-id']);
    assert.equal(typeof answer.body.title, 'string');
    return answer;
}

export function pointersOf(answer) {
    return answer.body.errors.map((error) => error.pointer).sort();
}

export function expectCreated(answer, path) {
    expectStatus(answer, 201);
    assert.match(answer.body.id, UUID);
    assert.equal(answer.headers.location, `${path}/${answer.body.id}`);
    assert.equal(answer.headers.etag, '"1"');
    assert.equal(answer.body.version, 1);
    return answer.body;
}

export async function newProject(api, fields = {}) {
    return expectCreated(await api.post('/v1/projects', { name: 'Bridge', ...fields }), '/v1/projects');
}

export async function newTask(api, project, fields = {}) {
    const path = `/v1/projects/${project.id}/tasks`;
    return expectCreated(await api.post(path, { title: 'Dig', ...fields }), path);
}

// 412 says which version the entity has, and so does what the client reads next.
export async function expectConflict(answer, present) {
    expectProblem(await answer, 412, 'version-conflict');
    assert.equal((await answer).headers.etag, present);
}
