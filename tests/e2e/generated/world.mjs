// What the requests are about: a company with entities of each resource, whose ids paths and bodies name.
import { randomUUID } from 'node:crypto';

import fc from 'fast-check';

import { client } from '../../lib/http.mjs';
import { canBeMade } from '../../lib/tables.mjs';
import { valueOf } from './values.mjs';

const SCHEDULES = ['deleted', 'weekly', 'monthly'];
const USERS = 400, DEAD_LETTERS = 3000;
const tomorrow = new Date(Date.now() + 86_400_000).toISOString();

// A member that is left out.
export const NONE = Symbol('none');

// What rules demand beyond the schema. A value, or what draws one.
const SAMPLES = {
    'company.time_zone': ['UTC', 'Europe/Berlin', 'America/St_Johns'],
    'company.currency': ['EUR', 'USD', 'JPY'],
    'export.resource': ['project', 'task', 'invoice'],
    'revocation.before': ['2026-01-01T00:00:00Z'],
    'revocation.expires_at': ['2099-01-01T00:00:00Z'],
    'schedule.cron': ['0 0 1 1 *', '@yearly', '*/5 0 29 2 *'],
    'schedule.timezone': ['UTC', 'Europe/Berlin'],
    'schedule.type': ['project.create'],
    'schedule.subject': [NONE],
    'schedule.parent': [NONE],
    'schedule.body': [{ name: 'Every year' }],
    'pool.wanted': [1, 2],
    'pool.min': [1],
    'pool.max': [0, 2],
    'webhook_endpoint.url': ['https://test.example/hooks', 'https://[2a00:1450:4001:80b::200e]:8443/?a=b#c'],
    'webhook_endpoint.event_types': [['*'], ['task.*', 'project.created']],
    'webhook_recovery.since': ['2026-01-01T00:00:00Z'],
    'webhook_recovery.until': [NONE, '2099-01-01T00:00:00Z'],
    'webhook_endpoint.headers': [[], [{ name: 'X-Site', value: 'north' }]],
    'hook_source.mapping': [[], [{ name: 'a', event: '*', command: 'client.create', fields: [{ to: 'name', from: '/name' }] }]],
    'hook_source.id_pointer': [NONE, '/id'],
    'hook_source.event_pointer': [NONE, '/type', ''],
};

// Members of bodies that are optional, and without which hardly a request would be done.
export const DEMANDED = { putSchedule: ['company', 'body'], replayDeadLetters: ['company'] };

export class World {
    constructor(stack, resources, operations) {
        Object.assign(this, { stack, resources, operations, extra: new Map(), base: new Map(), users: [] });
        this.byName = new Map(resources.map((resource) => [resource.name, resource]));
    }

    async prepare() {
        const { stack } = this;
        this.company = await stack.addCompany();
        this.other = await stack.addCompany(); // whose own settings change
        this.users = Array.from({ length: USERS }, () => randomUUID());
        await stack.run(`INSERT INTO app_user (company_id, id, email, name, role) VALUES ${this.users.map((id) =>
            `('${this.company}', '${id}', '${id}@test.example', 'Somebody', 'project_manager')`).join(', ')}`);
        this.clients = new Map();
        await this.#addDeadLetters();
        for (const resource of this.resources) await this.#begin(resource);
        for (const name of SCHEDULES) await this.#putSchedule(name);
    }

    async #putSchedule(name) {
        const operation = this.operations.find(({ id }) => id === 'putSchedule');
        const answer = await this.client(operation).put(`/v1/admin/schedules/${name}`, { cron: '@yearly', type: 'project.create', company: this.company, body: { name } });
        if (answer.status > 201) throw new Error(answer.text);
    }

    // Commands whose body is an empty object.
    async #addDeadLetters() {
        this.dead = Array.from({ length: DEAD_LETTERS }, () => randomUUID());
        await this.stack.run(`INSERT INTO dead_letter (id, pool, company_id, command_id, slot, actor, role, fingerprint, reason, last_at, type, body) VALUES ${this.dead.map((id) =>
            `('${id}', 'projects', '${this.company}', '${randomUUID()}', 0, '${this.users[0]}', 'company_admin', 1, 'poison', now(), 'project.create', '\\x80')`).join(', ')}`);
    }

    // Two of each, which no request changes; those that it belongs to or refers to come first.
    async #begin(resource) {
        if (this.base.has(resource.name)) return;
        this.base.set(resource.name, []);
        this.extra.set(resource.name, []);
        if (!canBeMade(resource)) return this.extra.set(resource.name, await this.#found(resource));
        const needs = [resource.parent, ...resource.required.map((name) => resource.fields[name]['x-reference']?.to)];
        for (const name of needs) if (this.byName.has(name)) await this.#begin(this.byName.get(name));
        for (let i = 0; i < 2; i++) this.base.get(resource.name).push(await this.make(resource));
    }

    // What no request makes: it follows from something else, or from events.
    async #found({ name, collection }) {
        const { stack, company } = this, at = (id) => ({ id, at: `/v1/${collection}/${id}` });
        const madeOf = async (of) => {
            await this.#begin(this.byName.get(of));
            return this.base.get(of).map(({ id }) => id);
        };
        if (name === 'hook_event') {
            const sources = await madeOf('hook_source'), ids = sources.map(() => randomUUID());
            await stack.run(ids.map((id, i) => `INSERT INTO hook_event (company_id, id, source_id, headers, size, body)
                VALUES ('${company}', '${id}', '${sources[i]}', '[]', 2, '{}')`).join(';\n'));
            return ids.map(at);
        }
        if (!name.startsWith('webhook_')) return [];
        const endpoints = await madeOf('webhook_endpoint');
        if (name === 'webhook_health') return endpoints.map(at);
        const ids = endpoints.map(() => randomUUID());
        await stack.run(ids.map((id, i) => `INSERT INTO webhook_delivery (company_id, id, endpoint_id, event_type, event_seq, event_at, subject_id, status)
            SELECT company_id, '${id}', '${endpoints[i]}', type, seq, at, subject, 'failed' FROM events WHERE company_id = '${company}' ORDER BY seq LIMIT 1`).join(';\n'));
        return ids.map(at);
    }

    client(operation) {
        const role = !operation.roles || operation.roles.includes('company_admin') ? 'company_admin' : 'super_admin';
        const company = operation.pattern.startsWith('/v1/company') ? this.other : this.company;
        const key = `${role} ${company}`;
        if (!this.clients.has(key)) this.clients.set(key, client(this.stack.url, this.stack.token({ company, role, ttl: 4 * 3600 })));
        return this.clients.get(key);
    }

    // An entity with what it must have.
    async make(resource) {
        const operation = this.operations.find(({ id }) => id === `create${resource.title}`);
        const above = this.base.get(resource.parent)?.[0], body = {};
        const path = this.#below(operation.pattern, above);
        for (const name of resource.required) {
            const field = resource.fields[name], to = field['x-reference']?.to, samples = SAMPLES[`${resource.name}.${name}`];
            body[name] = samples ? samples[0] : to === 'user' ? this.users.pop() : to ? this.base.get(to)[0].id
                : field.format ? randomUUID() : field.enum ? field.enum[0] : [field.type].flat().includes('string') ? 'x' : Math.max(field.minimum, 1);
        }
        const answer = await this.#post(operation, path, body);
        if (answer.status !== 201) throw new Error(`${resource.name}: ${answer.status} ${answer.text}`);
        return { id: answer.body.id, at: `${path}/${answer.body.id}`, above };
    }

    // Where so many are under way that there may be no more, again.
    async #post(operation, path, body) {
        for (let tries = 0; ; tries++) {
            const answer = await this.client(operation).post(path, body, { prefer: 'wait=60' });
            if (answer.status !== 409 || tries === 100) return answer;
            await new Promise((resolve) => setTimeout(resolve, 200));
        }
    }

    #below(pattern, above) {
        return above ? pattern.replace(/\{[^}]*\}/, above.id) : pattern;
    }

    resourceOf({ pattern }) {
        return this.resources.find((one) => pattern.replace('/{id}', '').split('/').at(-1) === one.collection && pattern.startsWith('/v1/') && one.verbs.length > 0
            && pattern.split('/').length <= (one.parent ? 6 : 5));
    }

    // What an update or a delete is of is made for it, or was left by a create; what is below stays as it is.
    async path(g, operation) {
        const resource = this.resourceOf(operation), { pattern, method } = operation;
        if (operation.id === 'deleteSchedule') await this.#putSchedule(SCHEDULES[0]);
        if (!resource) return { path: this.#wordPath(g, operation) };
        if (resource.single) return { path: pattern };
        if (!pattern.endsWith('{id}')) {
            const above = resource.parent && g(fc.constantFrom, ...this.base.get(resource.parent));
            return { path: this.#below(pattern, above), above };
        }
        const list = this.extra.get(resource.name);
        if (canBeMade(resource) && (method === 'DELETE' || list.length === 0 || g(fc.nat, { max: 1 }) === 0))
            list.push(await this.make(resource));
        const one = list[method === 'DELETE' ? list.length - 1 : g(fc.nat, { max: Math.max(list.length - 1, 0) })];
        if (method === 'DELETE') list.pop();
        return { path: one?.at ?? pattern.replace('{id}', randomUUID()), above: one?.above };
    }

    #wordPath(g, operation) {
        const { pattern } = operation;
        const words = { '{pool}': 'projects', '{name}': pattern.includes('problems') ? 'bad-request' : operation.id === 'deleteSchedule' ? SCHEDULES[0] : g(fc.constantFrom, ...SCHEDULES.slice(1)) };
        return pattern.replace(/\{[^}]*\}/g, (word) => words[word] ?? this.#idOf(g, operation));
    }

    #idOf(g, { pattern, method }) {
        if (pattern.includes('webhook-endpoints')) return g(fc.constantFrom, ...this.base.get('webhook_endpoint').map(({ id }) => id));
        if (pattern.includes('webhook-deliveries')) return g(fc.constantFrom, ...this.extra.get('webhook_delivery').map(({ id }) => id));
        if (pattern.includes('hook-sources')) return g(fc.constantFrom, ...this.base.get('hook_source').map(({ id }) => id));
        if (pattern.includes('hook-events')) return g(fc.constantFrom, ...this.extra.get('hook_event').map(({ id }) => id));
        if (pattern.includes('dead-letters')) return method === 'GET' ? this.dead[0] : this.dead.pop();
        const ids = pattern.includes('exports') ? this.extra.get('export').map(({ id }) => id) : this.waiting ?? [];
        return ids.length > 0 ? g(fc.constantFrom, ...ids) : randomUUID();
    }

    headers({ method, pattern }) {
        return {
            ...(method === 'GET' ? {} : { prefer: 'wait=60' }),
            ...(pattern === '/v1/events' ? { accept: 'application/json' } : {}),
        };
    }

    // Dead letters are dropped one by one, and all of a company that has none.
    query({ id }) {
        return id === 'dropDeadLetters' ? [['company', this.other]] : [];
    }

    // The value of a query parameter or a header; undefined: none.
    parameter(g, { pattern }, { name, schema, in: where }) {
        const given = {
            'Idempotency-Key': () => randomUUID(), 'Cortex-Run-At': () => tomorrow, 'If-Match': () => g(fc.constantFrom, '*', '"1"', '"2"'),
            'If-None-Match': () => '"none"', Prefer: () => (pattern === '/v1/events' ? undefined : g(fc.constantFrom, 'respond-async', 'wait=60', 'count=exact')),
            Range: () => 'bytes=0-9', 'If-Range': () => '"none"', 'Last-Event-ID': () => '0', after: () => (pattern === '/v1/events' ? '0' : undefined),
            channels: () => `company:${this.company}`, pool: () => 'projects',
        }[name];
        if (given) return given();
        const value = valueOf(g, schema);
        return where === 'query' && `${value}` === '' ? undefined : value ?? undefined;
    }

    // The value of a member of a body, where the schema alone does not say enough; undefined: as the schema says.
    member(g, operation, name, { above }) {
        const resource = this.resourceOf(operation);
        const samples = SAMPLES[`${resource?.name ?? (operation.pattern.includes('pools') ? 'pool' : 'schedule')}.${name}`];
        if (samples) return g(fc.constantFrom, ...samples);
        if (name === 'pool') return 'projects';
        if (name === 'channels') return [`company:${this.company}`];
        if (name === 'company') return operation.id === 'replayDeadLetters' ? this.other : this.company;
        const reference = resource?.fields[name]?.['x-reference'];
        if (!reference || g(fc.nat, { max: 19 }) === 0) return undefined;
        if (reference.to === 'user') return resource.fields[name]['x-unique'] ? this.users.pop() : g(fc.constantFrom, ...this.users.slice(0, 20));
        const all = this.base.get(reference.to).filter((one) => !reference.within || one.above?.id === above?.id);
        return all.length > 0 ? g(fc.constantFrom, ...all.map(({ id }) => id)) : undefined;
    }

    // What a request has made.
    learn(operation, { status, headers, body }, { above }) {
        const resource = this.resourceOf(operation);
        if (status === 201 && resource && this.extra.get(resource.name)?.length < 500)
            this.extra.get(resource.name).push({ id: body.id, at: headers.location, above: above?.above });
        if (status === 202 && headers.location?.startsWith('/v1/operations/')) (this.waiting ??= []).push(headers.location.split('/').pop());
    }
}
