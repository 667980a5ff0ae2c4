// A client by @hey-api/openapi-ts. It compiles only while the document has these types and names of operations.
import { client } from './hey/client.gen.js';
import { createProject, deleteProject, getOperation, getProblemType, listEvents, listProjects, updateProject } from './hey/sdk.gen.js';
import type { EventReadable, ProjectReadable } from './hey/types.gen.js';

client.setConfig({ baseUrl: process.env.API, headers: { authorization: `Bearer ${process.env.TOKEN}` } });

function expect<T>(value: T | undefined, what: string): T {
    if (value === undefined) throw new Error(what);
    return value;
}

function nameOf(event: EventReadable): string {
    if (event.type === 'project.created' || event.type === 'project.updated') return event.data.name;
    if (event.type === 'project.deleted') return String(event.data.version);
    return event.type;
}

const project = expect((await createProject({ body: { name: 'Tunnel', budget: 1234.56 } })).data, 'no project') as ProjectReadable;
const page = expect((await listProjects({ query: { limit: 10 } })).data, 'no list');
const refused = await updateProject({ path: { id: project.id }, body: { status: 'completed' } });
const error = refused.error;
if (!error) throw new Error('not refused');
const operation = expect((await getOperation({ path: { id: project.id } })).data, 'no operation');
const result = operation.result;
if (!result || !('budget' in result)) throw new Error('no project as the result');
await deleteProject({ path: { id: project.id } });
const events = expect((await listEvents({ query: { after: '0' } })).data, 'no events');
if (typeof events === 'string') throw new Error('a stream');
const problem = expect((await getProblemType({ path: { name: error.type.replace('/problems/', '') } })).data, 'no type');

console.log(JSON.stringify({
    names: page.data.map(({ name }) => name), budget: result.budget, status: refused.response?.status, type: error.type,
    detail: error.errors?.[0]?.detail, events: events.data.map(nameOf), problem: problem.status,
}));
