// The recipes of CONTRIBUTING.md, as a newcomer follows them: what their blocks add to files, and the commands that they give.
//
//     const recipe = recipeOf(text, 'A field');       // its blocks, in their order
//     const files = applyBlock(folder, recipe[0]);    // a block that changes a file; returns its path
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// [{ kind: 'diff' or 'sh', lines }] of the section with this title.
export function recipeOf(text, title) {
    const [, section] = text.split(`\n### ${title}\n`);
    assert.ok(section, `CONTRIBUTING.md has no recipe "${title}"`);
    const blocks = section.split(/^##/m)[0].matchAll(/^( *)```(diff|sh)\n([^]*?)^\1```$/gm);
    return [...blocks].map(([, indent, kind, body]) => ({ kind, lines: body.trimEnd().split('\n').map((line) => line.slice(indent.length)) }));
}

function nextMigration(folder) {
    const numbers = readdirSync(join(folder, 'schemas/sql')).map((name) => Number(name.slice(0, 4)));
    return `${Math.max(...numbers) + 1}`.padStart(4, '0');
}

const without = (lines, sign) => lines.filter((line) => !line.startsWith(sign)).map((line) => `${line.slice(1)}\n`).join('');

export function applyBlock(folder, { lines: [name, ...lines] }) {
    const file = name.replace('NNNN', nextMigration(folder));
    const path = join(folder, file);
    const before = without(lines, '+'), after = without(lines, '-');
    if (before === '') {
        assert.ok(!existsSync(path), `${file} is there already`);
        writeFileSync(path, after);
        return file;
    }
    const parts = readFileSync(path, 'utf8').split(before);
    assert.equal(parts.length, 2, `${file} has ${parts.length - 1} places like this:\n${before}`);
    writeFileSync(path, parts.join(after));
    return file;
}
