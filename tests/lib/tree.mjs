// A copy of the tree in which a test adds resources as a stranger would, and builds the programs.
//
//     const tree = new Tree('resources');
//     await tree.newResource('punch_item', 'project', { due: { $ref: 'types.json#/$defs/optional-date' } });
//     await tree.build();
//     const stack = await startStack('resources', { from: tree.programs, tree: tree.folder });
//     tree.remove();
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { root, state } from './servers.mjs';

const run = promisify(execFile);
const build = process.env.CORTEX_BUILD ?? join(root, 'build', 'asan');
const FILES = ['CMakeLists.txt', 'CMakePresets.json', 'common', 'cortex', 'deploy/local', 'gateway', 'schemas', 'workers'];

export class Tree {
    // `cortex test` removes what is in this folder when its run was killed.
    constructor(name) {
        this.folder = join(state, 'checkouts', `${name}-${process.pid}`);
        for (const file of FILES) cpSync(join(root, file), join(this.folder, file), { recursive: true });
        mkdirSync(join(this.folder, 'tests'));
        writeFileSync(join(this.folder, 'tests', 'CMakeLists.txt'), '');
    }

    get programs() {
        return join(this.folder, 'build', 'asan');
    }

    // ./cortex ARGUMENTS…, with the schema compiler of this run.
    cortex(...args) {
        return run(join(this.folder, 'cortex'), args, { env: { ...process.env, CORTEX_BUILD: build } });
    }

    schema(name) {
        return JSON.parse(readFileSync(join(this.folder, 'schemas', 'messages', `${name}.json`), 'utf8'));
    }

    // What a person does: ./cortex new resource, more fields and other words in the schema, and the migration written again.
    async newResource(name, parent = undefined, fields = {}, words = {}) {
        const command = ['new', 'resource', name, ...(parent ? [parent] : [])];
        await this.cortex(...command);
        const schema = { ...this.schema(name), ...words };
        let id = Object.keys(schema.properties).length;
        for (const [field, value] of Object.entries(fields)) schema.properties[field] = { 'x-id': ++id, ...value };
        writeFileSync(join(this.folder, 'schemas', 'messages', `${name}.json`), JSON.stringify(schema, null, 2));
        await this.cortex(...command);
    }

    ninja(...targets) {
        return run('ninja', ['-C', this.programs, ...targets], { maxBuffer: 1 << 26 });
    }

    async build() {
        await run('cmake', ['--preset', 'asan'], { cwd: this.folder });
        await run(join(build, 'schemas', 'schemac'), ['--update-lock', join(this.folder, 'schemas', 'messages')]);
        await this.ninja('cortex-gateway', 'cortex-worker');
    }

    remove() {
        rmSync(this.folder, { recursive: true, force: true });
    }
}
