// A checkout of its own, with a state of its own, in which a test does with ./cortex what a person does. Nothing is built in it, unless it
// is made with programs: null: its programs are those of this run.
//
//     const checkout = new Checkout('moved');
//     await checkout.cortex('up');             // its standard output; fails when the command does
//     await checkout.try(['up'], { … });       // { status, stdout, stderr }, with more in its environment
//     await checkout.stop();
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { send } from './http.mjs';
import { freePort } from './port.mjs';
import { root, state } from './servers.mjs';

const build = process.env.CORTEX_BUILD ?? join(root, 'build', 'asan');
const PROGRAMS = ['gateway/cortex-gateway', 'gateway/tools/cortex-token', 'gateway/tools/cortex-watch', 'workers/cortex-worker'];
const FILES = ['cortex', 'deploy/local', 'schemas/sql', 'common/broker/pools.def', 'common/broker/rights.table', 'common/db/session.def',
    'common/process/config.def'];

const open = new Set();
process.on('exit', () => open.forEach((checkout) => checkout.remove()));

function copy(from, to, name) {
    mkdirSync(dirname(join(to, name)), { recursive: true });
    cpSync(join(from, name), join(to, name), { recursive: true, filter: (path) => !path.endsWith('node_modules') });
}

export class Checkout {
    // `cortex test` stops and removes what is in this folder when its run was killed.
    constructor(name, { files = FILES, programs = build } = {}) {
        this.folder = join(state, 'checkouts', `${name}-${process.pid}`);
        files.forEach((file) => copy(root, this.folder, file));
        this.builds = programs === null;
        if (!this.builds) PROGRAMS.forEach((program) => copy(programs, join(this.folder, 'programs'), program));
        open.add(this);
    }

    get state() {
        return join(this.folder, '.cortex');
    }

    // The port is chosen once, so that it is the same for each `up`.
    async environment(more = {}) {
        this.port ??= await freePort();
        const own = { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: process.env.HOME ?? '/' };
        if (!this.builds) own.CORTEX_BUILD = join(this.folder, 'programs');
        return { ...own, CORTEX_LISTEN: `127.0.0.1:${this.port}`, CORTEX_GATEWAY_PROCESSES: '1', ...more };
    }

    // undefined takes a variable away.
    async try(args, more = {}) {
        const env = await this.environment(more);
        Object.keys(env).filter((name) => env[name] === undefined).forEach((name) => delete env[name]);
        return new Promise((resolve) => {
            execFile(join(this.folder, 'cortex'), args, { env, cwd: this.folder, timeout: 600_000 }, (error, stdout, stderr) =>
                resolve({ status: error ? (error.code ?? -1) : 0, stdout, stderr }));
        });
    }

    async cortex(...args) {
        const { status, stdout, stderr } = await this.try(args);
        assert.equal(status, 0, `./cortex ${args.join(' ')}: ${stderr}${stdout}`);
        return stdout;
    }

    pid(part) {
        return Number(readFileSync(join(this.state, 'run', `${part}.pid`), 'latin1').split(' ')[0]);
    }

    async request(method, path, body = undefined, headers = {}) {
        const token = (await this.cortex('token')).trim();
        const kind = body === undefined ? {} : { 'content-type': 'application/json' };
        return send(`http://127.0.0.1:${this.port}${path}`, {
            method,
            headers: { authorization: `Bearer ${token}`, ...kind, ...headers },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
    }

    // Under another name, as by mv; what runs goes on.
    move(folder) {
        renameSync(this.folder, folder);
        this.folder = folder;
    }

    remove() {
        // CORTEX_STATE of this run would name its own servers.
        const env = { ...process.env, CORTEX_STATE: this.state };
        if (existsSync(this.folder)) spawnSync(join(this.folder, 'cortex'), ['down'], { env, stdio: 'ignore' });
        rmSync(this.folder, { recursive: true, force: true });
        open.delete(this);
    }

    stop() {
        this.remove();
    }
}
