// Values that a schema of the API document allows, and values that it does not: by json-schema-faker, with edges by fast-check.
import fc from 'fast-check';
import { generateSync } from 'json-schema-faker';

const TIME = { noInvalidDate: true, min: new Date('1900-01-01T00:00:00Z'), max: new Date('2199-12-31T23:59:59Z') };
const ITEMS = 5; // so that bodies stay small
const WITHOUT_NUL = /^[^\0]*$/;

// What the document says in words, because a double has no exact multiples of 0.01 (openapi/schema.c).
export const decimalsOf = ({ type, description = '' }) => ([type].flat().includes('integer') ? 0 : Number(/At most (\d+) decimals/.exec(description)?.[1] ?? 15));

const round = (value, decimals) => Number(value.toFixed(decimals));
const lengthOf = ({ minLength = 0, maxLength = 100 }) => ({ minLength, maxLength });
const typeOf = ({ type, enum: values }) => (type ? [type].flat().find((one) => one !== 'null') ?? 'null' : values ? 'enum' : undefined);

// A value at the edge of what the schema allows; undefined where it has no such.
function edgeOf(g, schema) {
    const type = typeOf(schema);
    if ([schema.type].flat().includes('null') && g(fc.nat, { max: 3 }) === 0) return null;
    if (schema.enum || schema.pattern || schema.anyOf || schema.const !== undefined) return undefined;
    if (schema.format === 'date-time') return g(fc.date, TIME).toISOString();
    if (schema.format === 'date') return g(fc.date, TIME).toISOString().slice(0, 10);
    if (schema.format) return undefined;
    if (type === 'string')
        return g(fc.oneof, fc.string({ unit: 'grapheme', ...lengthOf(schema) }), fc.string({ unit: 'binary', ...lengthOf(schema) }),
            fc.constantFrom('é'.repeat(schema.maxLength ?? 1), '\u{10FFFF}'.repeat(schema.minLength || 1), ' '.repeat(schema.minLength || 1)));
    if (type === 'integer' || type === 'number')
        return g(fc.constantFrom, schema.minimum ?? 0, schema.maximum ?? 1, round(((schema.minimum ?? 0) + (schema.maximum ?? 1)) / 2, decimalsOf(schema)));
    return undefined;
}

// Of one value or several, null or not: the one that is a value.
const plain = (schema) => (schema.anyOf ? plain(schema.anyOf[0]) : schema);

// A generated string may hold the one character that no text of ours holds, or be cut within a pair; numbers have too many decimals.
function tidy(schema, value) {
    if (typeof value === 'string') return WITHOUT_NUL.test(value) ? value : value.replaceAll('\0', 'x');
    if (typeof value === 'number') return round(value, decimalsOf(plain(schema)));
    if (Array.isArray(value)) return value.slice(0, Math.max(ITEMS, schema.minItems ?? 0)).map((one) => tidy(schema.items ?? schema.anyOf?.find(({ items }) => items)?.items ?? {}, one));
    return value;
}

// `g` draws (fc.gen).
export function valueOf(g, schema) {
    const edge = g(fc.nat, { max: 3 }) === 0 ? edgeOf(g, schema) : undefined;
    const found = edge !== undefined ? edge : generateSync(schema, { seed: g(fc.nat), optionalsProbability: 0.5, minDateTime: '2000-01-01', maxDateTime: '2099-12-31' });
    return tidy(schema, found);
}

const OTHERS = { string: [0, true, {}, []], number: ['1', false, {}, []], integer: ['1', 1.5, {}, []], boolean: [0, 'true', {}], array: [{}, '[]', 0], object: [[], '{}', 0] };

// What is wrong with a value of this schema, in words, and one that is so.
export function wrongsOf(schema) {
    const type = typeOf(schema), wrongs = (OTHERS[type] ?? []).map((value) => ['of another type', value]);
    const add = (what, value) => wrongs.push([what, value]);
    if (!schema.enum?.includes(null) && ![schema.type].flat().includes('null')) add('null', null);
    if (schema.enum) add('no such value', 'no such value');
    if (schema.format === 'uuid') add('no UUID', 'abc'), add('a UUID with a tail', '00000000-0000-7000-8000-000000000000x');
    if (schema.format === 'date') add('a day that is none', '2026-02-30'), add('a time', '2026-02-03T00:00:00Z');
    if (schema.format === 'date-time') add('a time that is none', '2026-02-03T25:00:00Z'), add('a time without a zone', '2026-02-03T10:00:00.000');
    if (schema.format === 'email') add('no address', 'nobody at home');
    if (schema.format === 'uri') add('no URI', 'not a uri');
    if (type === 'string' && schema.maxLength !== undefined && !schema.format && !schema.enum) add('too long', 'é'.repeat(schema.maxLength + 1));
    if (type === 'string' && schema.minLength > 0) add('too short', '');
    if (type === 'string' && !schema.format && !schema.enum) add('with a NUL', `\0${'x'.repeat(schema.minLength ?? 0)}`.slice(0, Math.max(1, schema.maxLength ?? 9)));
    if (schema.maximum !== undefined) add('too large', schema.maximum < Number.MAX_SAFE_INTEGER ? schema.maximum + 1 : 1e17);
    if (schema.minimum !== undefined) add('too small', schema.minimum - 1);
    if (type === 'number' && decimalsOf(schema) < 15) add('with too many decimals', round((schema.minimum ?? 0) + 10 ** -(decimalsOf(schema) + 1), decimalsOf(schema) + 1));
    if (schema.maxItems !== undefined) add('too many', Array.from({ length: schema.maxItems + 1 }, () => generateSync(schema.items, { seed: 1 })));
    return wrongs;
}
