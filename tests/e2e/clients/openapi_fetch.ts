// A client by openapi-typescript and openapi-fetch. It compiles only while the document has these types.
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

type Event = components['schemas']['Event'];
const api = createClient<paths>({ baseUrl: process.env.API, headers: { authorization: `Bearer ${process.env.TOKEN}` } });

function expect<T>(value: T | undefined, what: string): T {
    if (value === undefined) throw new Error(what);
    return value;
}

// `data` follows from `type`.
function nameOf(event: Event): string {
    if (event.type === 'project.created' || event.type === 'project.updated') return event.data.name;
    if (event.type === 'project.deleted') return String(event.data.version);
    if (event.type === 'task.created') return event.data.title;
    return event.type;
}

const made = expect((await api.POST('/v1/projects', { body: { name: 'Bridge', status: 'planning', budget: 19.99 } })).data, 'no project');
if (!('number' in made)) throw new Error('not made at once');
const project: components['schemas']['Project'] = made;
const task = expect((await api.POST('/v1/projects/{project}/tasks', {
    params: { path: { project: project.id } }, body: { title: 'Dig', estimated_hours: 0.07 },
})).data, 'no task');
const page = expect((await api.GET('/v1/projects', { params: { query: { limit: 10, status: 'planning' } } })).data, 'no list');
const { error, response } = await api.PATCH('/v1/projects/{id}', { params: { path: { id: project.id } }, body: { status: 'completed' } });
const type: components['schemas']['Problem']['type'] = expect(error, 'not refused').type;
const events = expect((await api.GET('/v1/events', { params: { query: { after: '0' } } })).data, 'no events');
if (typeof events === 'string') throw new Error('a stream');
const operation = expect((await api.GET('/v1/operations/{id}', { params: { path: { id: project.id } } })).data, 'no operation');
const result = operation.result;
if (!result || !('budget' in result)) throw new Error('no project as the result');
const problem = expect((await api.GET('/problems/{name}', { params: { path: { name: type.replace('/problems/', '') } } })).data, 'no type');
await api.DELETE('/v1/projects/{project}/tasks/{id}', { params: { path: { project: project.id, id: (task as { id: string }).id } } });

console.log(JSON.stringify({
    names: page.data.map(({ name }) => name), budget: result.budget, status: response.status, type, detail: error?.errors?.[0]?.detail,
    events: events.data.map(nameOf), problem: problem.status,
}));
