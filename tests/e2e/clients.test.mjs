// Clients that generators of others make from the document that the gateway serves: they compile, and they work. And what the document says is
// what the server does: the largest page, the changes of status, the decimals, the types of problems.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { createClient } from '@hey-api/openapi-ts';
import openapiTypescript, { astToString } from 'openapi-typescript';

import { Described } from '../lib/described.mjs';
import { root } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';
import { expectProblem, expectStatus } from './api/expect.mjs';

const run = promisify(execFile);
const SETTINGS = {
    compilerOptions: {
        strict: true, target: 'es2022', module: 'nodenext', moduleResolution: 'nodenext', lib: ['es2022', 'dom', 'dom.iterable'], types: [],
        skipLibCheck: true,
    },
    files: [],
};
let stack, folder, document;

before(async () => {
    stack = await startStack('clients');
    folder = mkdtempSync(join(tmpdir(), 'clients-'));
    symlinkSync(join(root, 'tests', 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'process.d.ts'), 'declare const process: { env: Record<string, string | undefined> };');
    document = (await stack.client().get('/openapi.json')).body;
    writeFileSync(join(folder, 'openapi.json'), JSON.stringify(document));
});
after(async () => {
    if (folder) rmSync(folder, { recursive: true });
    await stack?.stop();
});

// Compiles a program of tests/e2e/clients with what was generated, and runs it for a company of its own.
async function compileAndRun(name) {
    copyFileSync(join(root, 'tests', 'e2e', 'clients', `${name}.ts`), join(folder, `${name}.ts`));
    const tsc = join(root, 'tests', 'node_modules', 'typescript', 'bin', 'tsc');
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...SETTINGS, files: ['process.d.ts', `${name}.ts`] }));
    await run(process.execPath, [tsc], { cwd: folder }).catch(({ stdout }) => assert.fail(stdout));
    const { token } = stack.client({ company: await stack.addCompany(), role: 'project_manager' });
    const { stdout } = await run(process.execPath, [`${name}.js`], { cwd: folder, env: { ...process.env, API: stack.url, TOKEN: token } });
    return JSON.parse(stdout);
}

const refusal = { status: 409, type: '/problems/illegal-transition', detail: 'is planning and may become active, on-hold or cancelled', problem: 409 };

describe('clients', () => {
    test('test_client_when_made_by_openapi_typescript_then_it_compiles_and_works', async () => {
        writeFileSync(join(folder, 'schema.ts'), astToString(await openapiTypescript(document)));
        assert.deepEqual(await compileAndRun('openapi_fetch'), {
            names: ['Bridge'], budget: 19.99, ...refusal, events: ['Bridge', 'Dig'],
        });
    });

    test('test_client_when_made_by_hey_api_then_it_compiles_and_works', async () => {
        writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(SETTINGS));
        await createClient({
            input: join(folder, 'openapi.json'), output: { path: join(folder, 'hey'), tsConfigPath: join(folder, 'tsconfig.json') },
            plugins: ['@hey-api/client-fetch', '@hey-api/sdk', '@hey-api/typescript'],
            logs: { level: 'silent' },
        });
        assert.deepEqual(await compileAndRun('hey_api'), {
            names: ['Tunnel'], budget: 1234.56, ...refusal, events: ['Tunnel', '2'],
        });
    });
});

describe('document', () => {
    test('test_limit_when_it_is_the_maximum_of_the_document_then_taken_and_one_more_refused', async () => {
        const { maximum } = document.components.parameters.limit.schema;
        const api = stack.client();
        for (const path of ['/v1/projects?', '/v1/events?after=0&']) {
            expectStatus(await api.get(`${path}limit=${maximum}`), 200);
            assert.ok((await api.get(`${path}limit=${maximum + 1}`)).status >= 400, path);
        }
    });

    test('test_money_when_it_has_two_decimals_then_ajv_and_the_server_take_it', async () => {
        const api = stack.client({ role: 'project_manager' }), described = new Described(document);
        for (const budget of [19.99, 0.07, 1234.56, 0.29, 999999999999.99]) {
            const answer = await api.post('/v1/projects', { name: 'Money', budget });
            expectStatus(answer, 201);
            described.expect('createProject', answer);
            described.expectSchema('ProjectCreate', { name: 'Money', budget });
        }
        expectProblem(await api.post('/v1/projects', { name: 'Money', budget: 0.005 }), 422, 'validation');
    });

    test('test_transitions_when_in_the_document_then_the_server_allows_these_and_no_others', async () => {
        const api = stack.client({ role: 'project_manager' });
        const { status } = document.components.schemas.Project.properties;
        for (const from of status.enum)
            for (const to of status.enum.filter((other) => other !== from)) {
                const { body } = await api.post('/v1/projects', { name: 'X', status: from });
                const answer = await api.patch(`/v1/projects/${body.id}`, { status: to });
                assert.equal(answer.status, status['x-transitions'][from].includes(to) ? 200 : 409, `${from} to ${to}`);
                if (answer.status === 409)
                    for (const allowed of status['x-transitions'][from]) assert.ok(answer.body.errors[0].detail.includes(allowed));
            }
    });

    test('test_roles_when_in_the_document_then_the_server_lets_these_write_and_no_others', async () => {
        const roles = ['super_admin', 'company_admin', 'project_manager', 'supervisor', 'operative', 'developer'];
        const allowed = document.paths['/v1/projects'].post['x-roles'];
        for (const role of roles)
            assert.equal((await stack.client({ role }).post('/v1/projects', { name: role })).status, allowed.includes(role) ? 201 : 403, role);
    });

    test('test_events_when_a_page_is_read_then_each_is_one_of_the_documents_types', async () => {
        const company = await stack.addCompany(), described = new Described(document);
        const api = stack.client({ company, role: 'company_admin' });
        const { body: { id } } = await api.post('/v1/projects', { name: 'X' });
        const { body: task } = await api.post(`/v1/projects/${id}/tasks`, { title: 'T', progress: 50 });
        await api.patch(`/v1/projects/${id}/tasks/${task.id}`, { progress: 70 });
        await api.delete(`/v1/projects/${id}/tasks/${task.id}`);
        await api.delete(`/v1/projects/${id}`);
        const page = await api.get('/v1/events?after=0&limit=100');
        described.expect('listEvents', page);
        const types = new Set(page.body.data.map(({ type }) => type));
        for (const type of ['project.created', 'project.updated', 'project.deleted', 'task.created', 'task.updated', 'task.deleted'])
            assert.ok(types.has(type), type);
        for (const one of [...page.body.data.map(({ id: subject }) => subject)].slice(0, 1))
            described.expect('getOperation', await api.get(`/v1/operations/${one}`));
    });

    test('test_problem_types_when_their_addresses_are_asked_then_each_answers', async () => {
        const described = new Described(document);
        const api = stack.client();
        const list = await api.get('/problems');
        described.expect('listProblemTypes', list);
        assert.deepEqual(list.body.data.map(({ type }) => type), document.components.schemas.Problem.properties.type.enum);
        for (const one of list.body.data) {
            const answer = await api.get(one.type);
            described.expect('getProblemType', answer);
            assert.deepEqual(answer.body, one);
        }
        expectProblem(await api.get('/problems/nothing'), 404, 'not-found');
    });
});
