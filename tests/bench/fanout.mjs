// Runs of fanout (many WebSockets) against ours, the usual Node server, and nginx with nchan: each with the same listeners,
// and the same events by way of what each is published through.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { startChild } from '../lib/children.mjs';
import { freePort } from '../lib/port.mjs';
import { startNchan } from './nginx.mjs';
import { cpuBetween, cpuSample, family } from './processes.mjs';
import { partPid, PARTS, pause, run, sql, stack } from './stack.mjs';

const USUAL = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), 'usual');
const WARMUP = 1;

export const LISTENERS = Number(process.env.BENCH_LISTENERS ?? 10000);

// So many new companies, without events, as a file for fanout.
async function companies(count) {
    const ids = await sql(`WITH made AS (INSERT INTO company (id, name) SELECT gen_random_uuid(), 'Bench' FROM generate_series(1, ${count}) RETURNING id)
                           SELECT id FROM made`);
    const file = path.join(stack.state, 'fanout.companies');
    writeFileSync(file, ids.map((id) => `${id}\n`).join(''));
    return file;
}

// Each: how fanout reaches it, its process, and how it is told to leave.
export const ours = () => ({ name: 'gateway', args: ['--url', stack.url], parts: {}, pids: () => family(partPid('gateway')), stop: () => {} });

export async function usualNode() {
    if (!existsSync(path.join(USUAL, 'node_modules', 'ws'))) {
        await run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: USUAL });
    }
    const port = await freePort();
    const child = startChild('node', [path.join(USUAL, 'sockets.mjs')], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, NODE_ENV: 'production', USUAL_PORT: `${port}`, USUAL_KEY_FILE: path.join(stack.state, 'secrets', 'token_key') },
    });
    await new Promise((resolve, reject) => {
        child.stdout.once('data', resolve);
        child.once('close', () => reject(new Error('the usual WebSocket server ended')));
    });
    return {
        name: 'Node ws',
        args: ['--url', `http://127.0.0.1:${port}`, '--path', '/?token={token}'],
        parts: { 'Node ws': child.pid },
        pids: () => family(child.pid),
        stop: () => child.kill(),
    };
}

export async function nchan() {
    const processes = Math.max(1, family(partPid('gateway')).length - 1);
    const nginx = await startNchan(processes);
    return {
        name: 'nchan',
        args: ['--url', nginx.url, '--path', '/sub/{company}', '--publish', `${nginx.url}/pub/{company}`, '--unordered'],
        parts: { nchan: nginx.pid() },
        pids: () => family(nginx.pid()),
        stop: nginx.stop,
    };
}

// Starts fanout and waits until everybody listens. Returns {connected, publish(), leave()}; the second gives the report with what each
// part has cost in the measured time.
export async function listen(server, args, { companyCount = 1, seconds = stack.seconds, parts = {} } = {}) {
    const file = await companies(companyCount);
    const child = startChild(path.join(stack.programs, 'fanout'), [
        ...server.args, '--companies', file, '--listeners', `${LISTENERS}`, '--warmup', `${WARMUP}`, '--duration', `${seconds}`, ...args,
    ], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, CORTEX_AUTH_HS256_FILE: path.join(stack.state, 'secrets', 'token_key') } });
    const closed = new Promise((resolve) => child.once('close', resolve));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => {
        const { value, done } = await lines.next();
        if (done) throw new Error(`fanout at ${server.name} failed (${await closed})`);
        return JSON.parse(value);
    };
    const watched = { ...server.parts, ...parts, client: child.pid };
    for (const [name, part] of Object.entries(PARTS)) watched[name] = partPid(part);
    return {
        connected: await next(),
        async publish(during = async () => {}) {
            child.stdin.write('\n');
            await pause(WARMUP + 0.1);
            const before = cpuSample(watched);
            await Promise.all([pause(seconds - 0.3), during()]);
            const after = cpuSample(watched);
            const report = await next();
            await closed;
            return { ...report, server: server.name, cpu: cpuBetween(before, after) };
        },
        async leave() {
            child.stdin.end();
            await closed;
        },
    };
}

// One run to its end. Whatever is promised to arrive in order must have done so, once.
export async function fanout(server, args, options) {
    const run = await (await listen(server, args, options)).publish();
    if (run.repeated || run.gaps) throw new Error(`${server.name}: ${run.gaps} gaps and ${run.repeated} repeats in what listeners heard`);
    return run;
}

export function complete(run) {
    if (run.delivered !== run.expected) throw new Error(`${run.expected - run.delivered} of ${run.expected} events did not arrive from ${run.server}`);
    return run;
}

// Kernel memory that sockets and what belongs to them take, in bytes: slabs (sockets, files, dentries, epoll items) and buffers.
export function kernelMemory() {
    const slab = Number(/^Slab:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'latin1'))[1]) * 1024;
    const buffers = Number(/^TCP:.* mem (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'latin1'))[1]) * 4096;
    return slab + buffers;
}
