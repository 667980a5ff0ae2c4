// Requests of an operation of the API document: valid ones, and ones that are broken in one place, with that place.
import { randomUUID } from 'node:crypto';

import fc from 'fast-check';

import { valueOf, wrongsOf } from './values.mjs';
import { DEMANDED, NONE } from './world.mjs';

export const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

// The document without references: its components refer to each other, but never to themselves from parameters and bodies.
export function resolve(document, value) {
    if (Array.isArray(value)) return value.map((one) => resolve(document, one));
    if (!value || typeof value !== 'object') return value;
    if (value.$ref) return resolve(document, value.$ref.split('/').slice(1).reduce((at, part) => at[part], document));
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolve(document, one)]));
}

// [{ id, method, pattern, parameters, body (schema), responses, roles }]
export function operationsOf(document) {
    return Object.entries(document.paths).flatMap(([pattern, path]) => METHODS.filter((method) => path[method]).map((method) => {
        const operation = path[method];
        return {
            id: operation.operationId, method: method.toUpperCase(), pattern, responses: operation.responses, roles: operation['x-roles'],
            parameters: resolve(document, operation.parameters ?? []),
            isRequired: operation.requestBody?.required ?? false,
            media: Object.keys(operation.requestBody?.content ?? {}),
            body: resolve(document, Object.values(operation.requestBody?.content ?? {})[0]?.schema),
        };
    }));
}

const encode = (value) => (Array.isArray(value) ? value.map((one) => encodeURIComponent(one)).join(',') : encodeURIComponent(value));
export const pointerOf = (path) => path.map((part) => `/${`${part}`.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

// One filter of a field of each kind.
const KINDS = { '': 'set', ne: 'set', gte: 'low', gt: 'low', lte: 'high', lt: 'high' };
function saysTheSame(query, name) {
    const split = (one) => /^([^[]*)(?:\[(.*)\])?$/.exec(one).slice(1);
    const [field, operator = ''] = split(name);
    return query.some(([other]) => split(other)[0] === field && KINDS[split(other)[1] ?? ''] === KINDS[operator]);
}

// A request is { method, path, query: [[name, text]], headers, body (a value), text (what is sent in its place), above (world.mjs) }, and of
// a broken one { broken: { what, pointer or name, statuses, names (that the answer says there are) } }.
export class Requests {
    constructor(world) {
        this.world = world;
    }

    async valid(g, operation) {
        const at = await this.world.path(g, operation);
        const request = { method: operation.method, path: at.path, above: at, query: this.world.query(operation), headers: { ...this.world.headers(operation) } };
        for (const parameter of operation.parameters.filter(({ in: where }) => where === 'query' || where === 'header'))
            if (g(fc.nat, { max: parameter.in === 'query' ? 7 : 3 }) === 0 && !saysTheSame(request.query, parameter.name))
                this.#add(g, operation, request, parameter);
        if (operation.body) {
            request.headers['content-type'] = g(fc.constantFrom, ...operation.media);
            request.body = this.#body(g, operation, at);
        }
        return request;
    }

    #add(g, operation, request, parameter) {
        const value = this.world.parameter(g, operation, parameter);
        if (value === undefined) return;
        if (parameter.in === 'header') request.headers[parameter.name.toLowerCase()] = `${value}`;
        else request.query.push([parameter.name, encode(value)]);
    }

    #body(g, operation, at) {
        const { properties = {} } = operation.body, body = {};
        const required = [...(operation.body.required ?? []), ...(DEMANDED[operation.id] ?? [])];
        for (const [name, schema] of Object.entries(properties)) {
            if (!required.includes(name) && g(fc.nat, { max: 2 }) > 0) continue;
            const given = this.world.member(g, operation, name, at);
            const value = given !== undefined ? given : valueOf(g, schema);
            if (value !== NONE) body[name] = value;
        }
        return body;
    }

    // null where nothing of the operation can be broken.
    async broken(g, operation) {
        const request = await this.valid(g, operation);
        const ways = [...this.#inBody(request, operation), ...this.#inQuery(operation), ...this.#inHeaders(operation)];
        if (ways.length === 0) return null;
        const { change, ...broken } = g(fc.constantFrom, ...ways);
        delete request.headers['if-match']; // 412 would come first
        delete request.headers['if-none-match'];
        change(g, request);
        return { ...request, broken };
    }

    #inBody(request, { body, isRequired }) {
        if (!body) return [];
        const ways = [], { properties = {}, required = [] } = body;
        const add = (what, path, change, statuses = [422]) => ways.push({ what, pointer: path === undefined ? undefined : pointerOf(path), statuses, change });
        const put = (path, value) => (_, { body: whole }) => path.slice(0, -1).reduce((at, part) => at[part], whole)[path.at(-1)] = value;
        const walk = (path, schema, value) => {
            for (const [what, wrong] of wrongsOf(schema)) add(`${pointerOf(path)} is ${what}`, path, put(path, wrong));
            if (Array.isArray(value)) value.forEach((one, i) => walk([...path, i], schema.items, one));
            else if (value && typeof value === 'object')
                for (const [name, one] of Object.entries(schema.properties ?? {})) if (value[name] !== undefined) walk([...path, name], one, value[name]);
        };
        for (const [name, schema] of Object.entries(properties)) walk([name], schema, request.body[name]);
        for (const name of required) add(`/${name} is missing`, [name], (_, { body: whole }) => delete whole[name]);
        for (const name of ['unknown', 'a/b~c', '', 'ünknown', '__proto__', 'id', 'version', 'company_id'])
            if (!properties[name]) add(`/${name} is unknown`, [name], (_, { body: whole }) =>
                Object.defineProperty(whole, name, { value: 1, enumerable: true, configurable: true }));
        for (const [what, value] of [['a list', []], ['null', null], ['a text', 'x'], ['a number', 1]])
            add(`the body is ${what}`, [], (_, whole) => (whole.body = value));
        for (const text of ['', ' ', '{', '{}{}', '{"a":1,}', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":1,"a":2}', `${'['.repeat(100)}`, '\ufeff{}', '{"a":\x01}'])
            if (text !== '' || isRequired) add(`the body is ${JSON.stringify(text)}`, undefined, (_, whole) => (whole.text = text), [400]);
        add('the body is of another kind', undefined, (_, { headers }) => (headers['content-type'] = 'text/plain'), [415]);
        return ways;
    }

    #inQuery(operation) {
        const ways = [];
        const add = (what, change, name, statuses = [400], names = []) => ways.push({ what, name: name && `?${name}`, statuses, change, names });
        // A stream is opened by clients that add parameters of their own.
        const of = operation.id === 'listEvents' ? [] : operation.parameters.filter(({ in: where }) => where === 'query');
        for (const parameter of of)
            for (const [what, text] of this.#wrongTexts(parameter.schema))
                add(`${parameter.name} is ${what}`, (_, request) => request.query = [...request.query.filter(([name]) => name !== parameter.name), [parameter.name, text]],
                    parameter.name, [400, 422]);
        for (const name of ['no_such', 'no_such[gte]', 'status[bad]', 'id', 'company_id'])
            if (of.length > 0 && !of.some((one) => one.name === name)) add(`${name} is unknown`, (_, request) => request.query.push([name, '1']), name, [400], name === 'status[bad]' ? [] : of.map((one) => one.name.replace(/\[.*/, '')));
        for (const { name } of of)
            add(`${name} is there twice`, (_, request) => request.query = [...request.query.filter(([one]) => one !== name), [name, '1'], [name, '1']], name, [400, 422]);
        return ways;
    }

    // Texts that are none of the parameter's values.
    #wrongTexts(schema) {
        const [one, several] = schema.anyOf ?? [schema];
        const values = one.anyOf?.[0] ?? one, wrongs = [];
        if (values.enum || values.items?.enum) wrongs.push(['no such value', 'no%20such']);
        if (values.format === 'uuid') wrongs.push(['no UUID', 'abc']);
        if (values.format === 'date') wrongs.push(['no date', '2026-02-30']);
        if (values.format === 'date-time') wrongs.push(['no time', '2026-02-30T00:00:00Z']);
        if (['integer', 'number', 'boolean'].includes(values.type)) wrongs.push(['no number', 'abc'], ['nothing', '']);
        if (values.maximum !== undefined) wrongs.push(['too large', encode(values.maximum < Number.MAX_SAFE_INTEGER ? values.maximum + 1 : '1e17')]);
        if (values.minimum !== undefined) wrongs.push(['too small', encode(values.minimum - 1)]);
        if (values.type === 'string' && values.maxLength && !values.format) wrongs.push(['too long', 'x'.repeat(values.maxLength + 1)]);
        if (values.minLength > 0) wrongs.push(['too short', '']);
        if (several?.maxItems) wrongs.push(['too many', Array.from({ length: several.maxItems + 1 }, () => 'a').join(',')]);
        if (values.type === 'string') wrongs.push(['no UTF-8', '%ff']);
        return wrongs;
    }

    #inHeaders({ parameters, pattern }) {
        const has = (name) => parameters.some((one) => one.name === name && one.in === 'header');
        const ways = [];
        const add = (name, text, statuses = [400]) =>
            ways.push({ what: `${name} is ${JSON.stringify(text)}`, statuses, change: (_, { headers }) => (headers[name.toLowerCase()] = text) });
        if (has('If-Match')) for (const text of ['abc', '"1', '1']) add('If-Match', text, [400, 404, 412, 422]);
        if (has('Idempotency-Key')) add('Idempotency-Key', 'x'.repeat(300));
        if (has('Cortex-Run-At')) for (const text of ['soon', '2026-02-30T00:00:00Z', '']) add('Cortex-Run-At', text);
        if (pattern.includes('{id}'))
            for (const id of ['abc', 'ffffffff', randomUUID().slice(1)])
                ways.push({ what: `the id is ${id}`, statuses: [400, 404], change: (_, request) => (request.path = request.path.replace(/[0-9a-f-]{36}/, id)) });
        return ways;
    }
}
