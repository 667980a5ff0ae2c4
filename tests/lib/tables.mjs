// The tables of resources as their schemas demand them: what of pg_catalog differs, a sentence each.
//
//     const resources = readResources(join(root, 'schemas/messages'));
//     assert.deepEqual(await differences(name, resources), []);
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { database } from './servers.mjs';

const INDEXES_MAX = 8;
const GRANTS = { create: 'INSERT', update: 'UPDATE', delete: 'DELETE' };
const SERVER = ['id', 'version', 'created_at', 'updated_at'];

// [{ name, table, collection, parent, verbs, fields: { name: schema }, … }] of every file with x-resource.
export function readResources(folder) {
    const files = new Map(readdirSync(folder).filter((file) => file.endsWith('.json'))
        .map((file) => [file, JSON.parse(readFileSync(join(folder, file), 'utf8'))]));
    const expand = (file, { $ref, ...schema }) => {
        if (!$ref) return schema;
        const [name, pointer] = $ref.split('#');
        const target = pointer.split('/').slice(1).reduce((at, part) => at[part], files.get(name || file));
        return { ...expand(name || file, target), ...schema };
    };
    return [...files].filter(([, schema]) => schema['x-resource']).map(([file, schema]) => ({
        verbs: ['create', 'get', 'list', 'update', 'delete'],
        ...schema['x-resource'],
        required: schema.required,
        rights: schema['x-rights'],
        computed: [
            ...Object.values(schema['x-compute'] ?? {}).flatMap((columns) => Object.keys(columns)),
            ...Object.entries(schema.properties).filter(([, field]) => field['x-secret']?.keep_hours)
                .flatMap(([column]) => [`${column}_before`, `${column}_before_until`]),
        ],
        fields: Object.fromEntries(Object.entries(schema.properties).map(([name, field]) => [name, expand(file, field)])),
    }));
}

export const isNullable = ({ type }) => Array.isArray(type) && type.includes('null');
export const typeOf = ({ type }) => (Array.isArray(type) ? type.find((one) => one !== 'null') : type);
const columnOf = ([name, field]) => field['x-column'] ?? name;

// Lists are sorted by money along its cents, which PostgreSQL computes.
const sortedBy = (entry) => `${columnOf(entry)}${typeOf(entry[1]) === 'number' ? '_cents' : ''}`;

const CATALOG = (tables) => `
    SELECT c.relname AS name, c.relkind AS kind,
           (SELECT json_object_agg(a.attname, json_build_object('type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull))
              FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
           ARRAY(SELECT json_build_object('kind', k.contype, 'other', k.confrelid::regclass::text, 'text', pg_get_constraintdef(k.oid),
                        'expression', pg_get_expr(k.conbin, k.conrelid),
                        'columns', ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u (n, i), pg_attribute AS a
                                         WHERE a.attrelid = c.oid AND a.attnum = u.n ORDER BY u.i))
                   FROM pg_constraint AS k WHERE k.conrelid = c.oid) AS constraints,
           ARRAY(SELECT to_json(ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) AS n))
                   FROM pg_index AS i WHERE i.indrelid = c.oid) AS indexes,
           ARRAY(SELECT to_json(ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) AS n))
                   FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique) AS uniques,
           c.relrowsecurity AS is_secured,
           ARRAY(SELECT r.rolname FROM pg_policy AS p, pg_roles AS r WHERE p.polrelid = c.oid AND r.oid = ANY (p.polroles)) AS policies,
           (SELECT json_object_agg(r.rolname, ARRAY(
                SELECT x FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS x WHERE has_table_privilege(r.oid, c.oid, x)))
              FROM pg_roles AS r WHERE r.rolname LIKE 'cortex\\_%') AS may,
           to_regproc('public.' || quote_ident(c.relname || '_search')) IS NOT NULL AS has_search
      FROM pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN (${tables.map((table) => `'${table}'`).join(', ')})`;

const begins = (index, columns) => columns.every((column, i) => index[i]?.replace(/"/g, '') === column);

// ---- types and bounds ----

const FORMATS = { uuid: ['uuid'], date: ['date'], 'date-time': ['timestamp with time zone'] };
const TYPES = { string: ['text'], boolean: ['boolean'], integer: ['integer', 'bigint'], array: ['jsonb'], object: ['jsonb'] };

const decimalsOf = (multiple) => (`${multiple}`.split('.')[1] ?? '').length;

// Values that the schema allows, as text, and some that it does not.
function samplesOf(field) {
    const type = typeOf(field);
    if (field['x-secret']) return { right: [`k1:${'A'.repeat(80)}`], wrong: ['', 'a secret in clear', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'] };
    if (field.enum) return { right: field.enum.filter((one) => one !== null), wrong: ['no such value', ''] };
    if (type === 'string' && !FORMATS[field.format])
        return {
            right: ['x'.repeat(field.minLength ?? 0), 'é'.repeat(field.maxLength)].filter((one) => one !== '' || !field.minLength),
            wrong: field.minLength > 0 ? [''] : [],
            above: ['x'.repeat(field.maxLength + 1)],
        };
    if (type === 'integer' || type === 'number') {
        const decimals = decimalsOf(field.multipleOf ?? 1), step = 1 / 10 ** decimals;
        return {
            right: [field.minimum, field.maximum].map((one) => one.toFixed(decimals)),
            wrong: [(field.minimum - step).toFixed(decimals)],
            above: field.maximum < Number.MAX_SAFE_INTEGER ? [(field.maximum + 1).toFixed(decimals)] : [],
        };
    }
    return { right: [], wrong: [] };
}

const literal = (text) => `'${text.replace(/'/g, "''")}'`;

// Whether each of these columns takes its value: its type holds the value as it is, and none of its checks is false.
async function taken(name, trials) {
    if (trials.length === 0) return [];
    const rows = trials.map(({ value, type, column, checks }, i) =>
        `(${i}, ${literal(value)}, ${literal(type)}, ${literal(column)}, ${literal(['true', ...checks].join(' AND '))})`);
    const answers = await database.query(name, `
        SELECT i, CASE WHEN test_fits(value, type) THEN test_holds(value, type, name, checks) ELSE false END AS ok
          FROM (VALUES ${rows.join(', ')}) AS v (i, value, type, name, checks)`);
    return answers.filter(({ ok }) => ok).map(({ i }) => i);
}

const HELPERS = `
    CREATE OR REPLACE FUNCTION test_fits(value text, type text) RETURNS boolean LANGUAGE plpgsql AS $f$
    DECLARE same boolean;
    BEGIN
        EXECUTE format('SELECT ($1::%1$s)::text = $1 OR ($1::%1$s)::text::numeric = $1::numeric', type) INTO same USING value;
        RETURN same;
    EXCEPTION WHEN OTHERS THEN RETURN false;
    END $f$;
    CREATE OR REPLACE FUNCTION test_holds(value text, type text, name text, checks text) RETURNS boolean LANGUAGE plpgsql AS $f$
    DECLARE held boolean;
    BEGIN
        EXECUTE format('SELECT %s FROM (SELECT $1::%s AS %I) AS row', checks, type, name) INTO held USING value;
        RETURN coalesce(held, true);
    END $f$;`;

// ---- one resource ----

const quoted = (text) => (text.length > 40 ? `${text.length} characters` : `"${text}"`);

function* ofColumn({ table }, entry, found) {
    const [, field] = entry, column = columnOf(entry), at = `${table}.${column}`;
    if (!found.columns[column]) return yield `${at}: there is no such column`;
    const { type, not_null } = found.columns[column];
    const wanted = FORMATS[field.format] ?? TYPES[typeOf(field)] ?? ['numeric'];
    if (!wanted.includes(type.replace(/\(.*/, ''))) return yield `${at}: is ${type} and should be ${wanted.join(' or ')}`;
    if (not_null === isNullable(field)) yield `${at}: ${not_null ? 'is NOT NULL, and the schema allows null' : 'may be NULL, and the schema does not allow it'}`;
}

// The values to be tried on a column, and what is wrong when it takes, or does not take, them.
function trialsOf({ table, isOld }, entry, found) {
    const [, field] = entry, column = columnOf(entry), at = `${table}.${column}`;
    if (SERVER.includes(column) || !found.columns[column]) return [];
    const { type } = found.columns[column];
    const checks = found.constraints.filter(({ kind, columns }) => kind === 'c' && columns.length === 1 && columns[0] === column)
        .map(({ expression }) => expression);
    const { right, wrong, above = [] } = samplesOf(field);
    return [
        ...right.map((value) => ({ value, mustTake: true, says: `${at}: refuses ${quoted(value)}, which the schema allows` })),
        ...[...wrong, ...(isOld ? [] : above)].map((value) => ({ value, mustTake: false, says: `${at}: takes ${quoted(value)}, which the schema does not allow` })),
    ].map((trial) => ({ ...trial, type, column, checks }));
}

function* ofUniques({ table, parent, fields }, found) {
    const company = ['company_id'], above = [...company, `${parent}_id`];
    for (const entry of Object.entries(fields)) {
        const number = entry[1]['x-number'], unique = entry[1]['x-unique'];
        const wanted = [...((number?.per ?? unique) === 'parent' ? above : company), columnOf(entry)];
        if ((number || unique) && !found.uniques.some((index) => index.length === wanted.length && begins(index, wanted)))
            yield `${table}.${entry[0]}: has no unique index (${wanted.join(', ')})`;
    }
}

function* ofKeys({ table, parent, fields, computed }, resources, found) {
    const keys = found.constraints.filter(({ kind }) => kind === 'p' || kind === 'f')
        .map(({ kind, columns, other }) => `${kind} ${columns.join(',')}${kind === 'f' ? ` ${other}` : ''}`);
    if (!keys.includes('p company_id,id')) yield `${table}: its primary key is not (company_id, id)`;
    const above = parent ? `f company_id,${parent}_id ${resources.find(({ name }) => name === parent).table}` : 'f company_id company';
    for (const entry of Object.entries(fields)) {
        const to = entry[1]['x-reference']?.to;
        const wanted = `f company_id,${columnOf(entry)} ${resources.find(({ name }) => name === to)?.table}`;
        if (to && to !== 'user' && !keys.includes(wanted)) yield `${table}: has no foreign key ${wanted.slice(2)}`;
    }
    for (const column of computed) if (!found.columns[column]) yield `${table}.${column}: there is no such column, and x-compute sets it`;
    if (!keys.includes(above)) yield `${table}: has no foreign key ${above.slice(2)}`;
}

function* ofIndexes({ table, parent, fields, verbs, export: isExported = true }, found) {
    const list = ['company_id', ...(parent ? [`${parent}_id`] : []), 'created_at', 'id'];
    if (!found.indexes.some((index) => begins(index, list))) yield `${table}: has no index for its list (${list.join(', ')})`;
    if (isExported && verbs.includes('list') && !found.indexes.some((index) => begins(index, ['company_id', 'created_at', 'id'])))
        yield `${table}: has no index for its exports (company_id, created_at, id)`;
    for (const entry of Object.entries(fields)) {
        if (entry[1]['x-indexed'] && !found.indexes.some((index) => begins(index, [...list.slice(0, -2), columnOf(entry)])))
            yield `${table}: has no index for its filter ${entry[0]}`;
    }
    for (const entry of Object.entries(fields)) {
        if (entry[1]['x-sort'] && !found.indexes.some((index) => begins(index, [...list.slice(0, -2), columnOf(entry), 'id'])))
            yield `${table}: has no index to sort its list by ${entry[0]}`;
    }
    if (found.indexes.length > INDEXES_MAX) yield `${table}: has ${found.indexes.length} indexes, and at most ${INDEXES_MAX} are allowed`;
}

function* ofRights({ table, verbs, pool }, found) {
    const worker = `cortex_${pool}`, gatewayMay = found.may.cortex_gateway, workerMay = found.may[worker] ?? [];
    const needed = ['SELECT', ...verbs.map((verb) => GRANTS[verb]).filter(Boolean)];
    if (!found.is_secured) yield `${table}: has no row-level security`;
    for (const role of ['cortex_gateway', 'cortex_engine']) if (!found.policies.includes(role)) yield `${table}: has no policy for ${role}`;
    if (gatewayMay.join() !== 'SELECT') yield `${table}: cortex_gateway may ${gatewayMay.join(', ') || 'do nothing'}, and should only SELECT`;
    for (const right of needed) if (!workerMay.includes(right)) yield `${table}: ${worker} may not ${right}`;
    if (workerMay.includes('TRUNCATE')) yield `${table}: ${worker} may TRUNCATE`;
}

function* ofResource(resource, resources, found) {
    if (!found) return yield `${resource.table}: there is no such table`;
    for (const entry of Object.entries(resource.fields)) yield* ofColumn(resource, entry, found);
    if (!resource.single) yield* ofKeys(resource, resources, found);
    if (!resource.single) yield* ofIndexes(resource, found);
    yield* ofUniques(resource, found);
    yield* ofRights(resource, found);
    const searches = Object.values(resource.fields).some((field) => field['x-search']);
    if (searches && !found.has_search) yield `${resource.table}: has x-search, and text_search_begin was not called for it`;
}

// old: tables from before there was this test. Some of their upper bounds are only in the schema.
export async function differences(name, resources, old = []) {
    await database.run(name, HELPERS);
    const catalog = await database.query(name, CATALOG(resources.map(({ table }) => table)));
    const pairs = resources.map((resource) => [{ ...resource, isOld: old.includes(resource.table) }, catalog.find((one) => one.name === resource.table)])
        .filter(([, found]) => found?.kind !== 'v'); // a view is for the workers alone
    const trials = pairs.flatMap(([resource, found]) =>
        (found ? Object.entries(resource.fields).flatMap((entry) => trialsOf(resource, entry, found)) : []));
    const takes = new Set(await taken(name, trials));
    return [
        ...pairs.flatMap(([resource, found]) => [...ofResource(resource, resources, found)]),
        ...trials.filter(({ mustTake }, i) => takes.has(i) !== mustTake).map(({ says }) => says),
    ];
}
