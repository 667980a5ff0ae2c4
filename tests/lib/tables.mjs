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

// Whether clients make its entities; those of others follow from something else, or there is one of each company.
export const canBeMade = ({ verbs }) => verbs.includes('create');
// The names of the fields that its entities show.
export const shownFields = ({ fields }) => Object.entries(fields).filter(([, field]) => !field.writeOnly).map(([name]) => name);
// A value of a field that is a list or an object.
export const sampleOfMany = (field) => (typeOf(field) === 'object' ? {} : field['x-event-types'] ? ['*'] : []);

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
           ARRAY(SELECT json_build_object('name', x.relname, 'method', m.amname, 'unique', i.indisunique, 'valid', i.indisvalid AND i.indisready,
                        'columns', ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) AS n),
                        'options', i.indoption::text, 'where', pg_get_expr(i.indpred, i.indrelid))
                   FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_am AS m ON m.oid = x.relam
                  WHERE i.indrelid = c.oid ORDER BY x.relname) AS indexes,
           c.relrowsecurity AS is_secured,
           ARRAY(SELECT format('%s%s for %s to %s using (%s) with check (%s)', p.polname, CASE WHEN p.polpermissive THEN '' ELSE ' restrictive' END, p.polcmd,
                        ARRAY(SELECT CASE u.r WHEN 0 THEN 'public' ELSE u.r::regrole::text END FROM unnest(p.polroles) AS u (r) ORDER BY 1)::text,
                        pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
                   FROM pg_policy AS p WHERE p.polrelid = c.oid ORDER BY p.polname) AS policies,
           (SELECT json_object_agg(r.rolname, ARRAY(
                SELECT x FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS x WHERE has_table_privilege(r.oid, c.oid, x)))
              FROM pg_roles AS r WHERE r.rolname LIKE 'cortex\\_%') AS may,
           to_regproc('public.' || quote_ident(c.relname || '_search')) IS NOT NULL AS has_search
      FROM pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN (${tables.map((table) => `'${table}'`).join(', ')})`;

// ---- types and bounds ----

const FORMATS = { uuid: ['uuid'], date: ['date'], 'date-time': ['timestamp with time zone'] };
const TYPES = { string: ['text'], boolean: ['boolean'], integer: ['integer', 'bigint'], array: ['jsonb'], object: ['jsonb'] };

const decimalsOf = (multiple) => (`${multiple}`.split('.')[1] ?? '').length;

// Values that the schema allows, as text, and some that it does not.
function samplesOf(field) {
    const type = typeOf(field);
    if (field['x-secret']) return { right: [`k1:${'A'.repeat(80)}`], wrong: ['', 'a secret in clear', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'] };
    if (field.enum) return { right: field.enum.filter((one) => one !== null), wrong: ['no such value', ''] };
    if (field.contentEncoding) return { right: ['\\x00ff'], wrong: [] };
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
    const wanted = field.contentEncoding ? ['bytea'] : FORMATS[field.format] ?? TYPES[typeOf(field)] ?? ['numeric'];
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

// ---- indexes ----

const bare = (text) => text.replace(/"/g, '');
const ofIndex = ({ method = 'btree', unique = false, columns, where }) =>
    `${unique ? 'unique ' : ''}${method} (${columns.map(bare).join(', ')})${where ? ` where ${bare(where).replace(/^\((.*)\)$/, '$1')}` : ''}`;
const unlessNull = (entry) => (isNullable(entry[1]) ? `${columnOf(entry)} IS NOT NULL` : undefined);

// [what it is for, the index], for everything that the schema makes. The keys of an entity that is the company's only one are others.
function* indexesOf({ parent, fields, verbs, export: isExported = true }, found) {
    const above = ['company_id', ...(parent ? [`${parent}_id`] : [])], entries = Object.entries(fields);
    yield ['its key', { unique: true, columns: ['company_id', 'id'] }];
    if (found.columns.legacy_id) yield ['its old ids', { unique: true, columns: ['company_id', 'legacy_id'], where: 'legacy_id IS NOT NULL' }];
    yield ['its list', { columns: [...above, 'created_at', 'id'] }];
    if (parent && isExported && verbs.includes('list')) yield ['its exports', { columns: ['company_id', 'created_at', 'id'] }];
    for (const entry of entries) {
        const [name, field] = entry, column = columnOf(entry), to = field['x-reference']?.to, unique = field['x-number']?.per ?? field['x-unique'];
        if (field['x-indexed']) yield [`its filter ${name}`, { columns: [...above, column, 'created_at', 'id'], where: unlessNull(entry) }];
        if (field['x-sort']) yield [`its sort ${name}`, { columns: [...above, sortedBy(entry), 'id'] }];
        if (unique) yield [`what is unique, ${name}`, { unique: true, columns: [...(unique === 'parent' ? above : ['company_id']), column] }];
        if (to && to !== 'user' && !(field['x-indexed'] && !parent))
            yield [`its reference ${name}`, { method: 'hash', columns: [column], where: unlessNull(entry) }];
    }
}

function* ofIndexes(resource, found) {
    const { table } = resource, there = new Map(found.indexes.map((index) => [ofIndex(index), index]));
    for (const [what, index] of indexesOf(resource, found)) {
        const wanted = ofIndex(index);
        if (!there.delete(wanted)) yield `${table}: has no index for ${what}: ${wanted}`;
    }
    for (const [text, { name }] of there) yield `${table}: has an index that its schema does not want: ${name} ${text}`;
    for (const { name, valid, options } of found.indexes) {
        if (!valid) yield `${table}: its index ${name} is not valid`;
        if (/[^0 ]/.test(options)) yield `${table}: its index ${name} is in another order`;
    }
    if (found.indexes.length > INDEXES_MAX) yield `${table}: has ${found.indexes.length} indexes, and at most ${INDEXES_MAX} are allowed`;
}

// ---- rights ----

// What row-level security lets through: of the company that the gateway has named, and for workers all. Those of the version before, too.
const POLICIES = (isOld) => [
    `every_company for * to {cortex_engine${isOld ? ',cortex_worker' : ''}} using (true) with check (true)`,
    "own_company for r to {cortex_gateway} using ((company_id = (NULLIF(current_setting('cortex.company'::text, true), ''::text))::uuid)) with check ()",
];

function* ofRights({ table, verbs, pool }, found) {
    const worker = `cortex_${pool}`, gatewayMay = found.may.cortex_gateway, workerMay = found.may[worker] ?? [];
    const needed = ['SELECT', ...verbs.map((verb) => GRANTS[verb]).filter(Boolean)];
    if (!found.is_secured) yield `${table}: has no row-level security`;
    const policies = POLICIES(found.policies.some((one) => one.includes('cortex_worker')));
    for (const policy of policies) if (!found.policies.includes(policy)) yield `${table}: has no policy ${policy}`;
    for (const policy of found.policies) if (!policies.includes(policy)) yield `${table}: has a policy that its schema does not want: ${policy}`;
    if (gatewayMay.join() !== 'SELECT') yield `${table}: cortex_gateway may ${gatewayMay.join(', ') || 'do nothing'}, and should only SELECT`;
    for (const right of needed) if (!workerMay.includes(right)) yield `${table}: ${worker} may not ${right}`;
    for (const right of workerMay) if (!needed.includes(right)) yield `${table}: ${worker} may ${right}, and no command does`;
}

function* ofResource(resource, resources, found) {
    if (!found) return yield `${resource.table}: there is no such table`;
    for (const entry of Object.entries(resource.fields)) yield* ofColumn(resource, entry, found);
    if (!resource.single) yield* ofKeys(resource, resources, found);
    if (!resource.single) yield* ofIndexes(resource, found);
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
