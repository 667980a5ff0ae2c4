// What the tests of exports share: projects by the thousand, waiting for an export, reading its file.
import assert from 'node:assert/strict';

import { until } from './process.mjs';

// Projects without commands, spread over time as if they had been created one after the other.
export function addProjects(stack, company, count) {
    return stack.run(`INSERT INTO project (company_id, id, number, name, description, status, created_at)
        SELECT '${company}', gen_random_uuid(), 'X-' || n, 'Project ' || n, 'Line "one"' || chr(10) || 'line two, of ' || n,
            (ARRAY['planning', 'active'])[n % 2 + 1], now() - interval '1 day' + n * interval '1 millisecond'
        FROM generate_series(1, ${count}) AS n`);
}

export async function begin(api, body) {
    const made = await api.post('/v1/exports', body);
    assert.equal(made.status, 201, made.text);
    assert.equal(made.body.status, 'pending');
    return made.body.id;
}

export async function ended(api, id, limit = 120_000) {
    let seen;
    await until(async () => {
        seen = await api.get(`/v1/exports/${id}`);
        return !['pending', 'running'].includes(seen.body.status);
    }, limit, `export ${id} to end`);
    return seen.body;
}

export async function content(api, id) {
    const file = await api.get(`/v1/exports/${id}/content`);
    assert.equal(file.status, 200, file.text);
    assert.equal(Buffer.byteLength(file.text), Number(file.headers['content-length']));
    return file;
}

// RFC 4180, as strictly as it is written.
export function parseCsv(text) {
    const rows = [];
    let row = [], at = 0;
    while (at < text.length) {
        let value = '';
        if (text[at] === '"') {
            for (at += 1; text[at] !== '"' || text[at + 1] === '"'; at += 1) {
                assert.ok(at < text.length, 'a quoted field ends');
                if (text[at] === '"') at += 1;
                value += text[at];
            }
            at += 1;
        } else {
            const end = text.slice(at).search(/,|\r\n/);
            value = text.slice(at, at + end);
            at += end;
        }
        row.push(value);
        if (text[at] === ',') {
            at += 1;
        } else {
            assert.equal(text.slice(at, at + 2), '\r\n', 'a record ends with CRLF');
            at += 2;
            rows.push(row);
            row = [];
        }
    }
    return rows;
}

// The file has each of these ids once, and nothing else.
export function expectEachOnce(text, ids) {
    const found = text.trimEnd().split('\n').map((line) => JSON.parse(line).id);
    assert.equal(new Set(found).size, found.length, 'no row is there twice');
    const has = new Set(found);
    assert.deepEqual([...ids].filter((id) => !has.has(id)), [], 'no row is missing');
    return has;
}
