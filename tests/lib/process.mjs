// One program under test: started with its settings in the environment, its output kept in a log, killed and started again at will.
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';

import { signalChild, startChild } from './children.mjs';
import { state } from './servers.mjs';

const sanitizers = {
    ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1:exitcode=99',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};
const running = new Set();

export class Program {
    // `ready`: called until it resolves to true, after each start.
    constructor({ name, command, args = [], settings, ready }) {
        Object.assign(this, { name, command, args, settings, ready });
        mkdirSync(join(state, 'log'), { recursive: true });
        this.log = join(state, 'log', `${name}.log`);
    }

    async start() {
        const log = openSync(this.log, 'a');
        this.logBegins = fstatSync(log).size; // that of this start
        this.child = startChild(this.command, this.args, {
            env: { PATH: process.env.PATH, LANG: 'C.UTF-8', CORTEX_LOG_FILE_BYTES: '0', ...sanitizers, ...this.settings },
            stdio: ['ignore', log, log],
        });
        closeSync(log);
        running.add(this);
        this.ended = new Promise((resolve) => {
            this.child.once('exit', (code, signal) => resolve({ code, signal }));
            this.child.once('error', (error) => resolve({ code: -1, signal: error.message }));
        });
        this.ended.then(() => running.delete(this));
        await until(() => this.child.exitCode !== null || this.ready(), 60_000, `${this.name} to be ready; see ${this.log}`);
        if (!this.alive()) throw new Error(`${this.name} ended while starting:\n${this.tail()}`);
    }

    alive() {
        return this.child.exitCode === null && this.child.signalCode === null;
    }

    signal(name) {
        signalChild(this.child, name);
    }

    // As by `kill -9` of all its processes.
    async kill() {
        this.signal('SIGKILL');
        await this.ended;
    }

    // Drains and leaves; throws unless it says goodbye by itself with status 0.
    async stop() {
        if (!this.child || !running.has(this)) return;
        process.kill(this.child.pid, 'SIGTERM');
        const timer = setTimeout(() => this.signal('SIGKILL'), 30_000);
        const { code, signal } = await this.ended;
        clearTimeout(timer);
        if (code !== 0) throw new Error(`${this.name} ended with ${signal ?? `status ${code}`} on SIGTERM:\n${this.tail()}`);
    }

    async restart() {
        await this.stop();
        await this.start();
    }

    // Since it was started.
    hasLogged(event) {
        return readFileSync(this.log).includes(`"event":"${event}"`, this.logBegins);
    }

    tail(lines = 40) {
        return readFileSync(this.log, 'utf8').split('\n').slice(-lines).join('\n');
    }

    // What AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer have found so far.
    complaints() {
        const text = readFileSync(this.log, 'utf8');
        const at = text.search(/ERROR: (Address|Leak)Sanitizer|runtime error:|SUMMARY: \w+Sanitizer/);
        return at < 0 ? '' : text.slice(at, at + 4000);
    }
}

// What a program has logged of some events, each line read once however often it is asked: for logs that grow large.
export class Logged {
    constructor(program, ...events) {
        this.file = openSync(program.log, 'r');
        this.events = new Map(events.map((event) => [event, []]));
        this.rest = '';
    }

    // All so far, as objects.
    of(event) {
        const piece = Buffer.alloc(1 << 20);
        for (let size; (size = readSync(this.file, piece)) > 0; ) this.#take(piece.toString('utf8', 0, size));
        return this.events.get(event);
    }

    #take(text) {
        const lines = (this.rest + text).split('\n');
        this.rest = lines.pop();
        for (const line of lines) this.events.get(line.match(/"event":"([^"]+)"/)?.[1])?.push(JSON.parse(line));
    }

    close() {
        closeSync(this.file);
    }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Asks again and again until the answer is true; an exception counts as no.
export async function until(condition, ms = 30_000, what = 'the condition') {
    const deadline = Date.now() + ms;
    for (;;) {
        try {
            const answer = await condition();
            if (answer) return answer;
        } catch (error) {
            if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`, { cause: error });
        }
        if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
        await sleep(50);
    }
}
