// Create and read against a usual Node service of the same shape (Fastify, amqplib, pg, one transaction a message) on the same
// servers: what the batches and the C are worth.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { costs } from '../costs.mjs';
import { alternate, load, median, onlyStatus, PROJECT, projectPaths, run, stack } from '../stack.mjs';
import { startChild } from '../../lib/children.mjs';

const FOLDER = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..', 'usual');

// Starts a program of the folder and waits for its first line.
async function start(program) {
    const environment = { ...process.env, NODE_ENV: 'production', USUAL_KEY_FILE: path.join(stack.state, 'secrets', 'token_key') };
    const child = startChild('node', [path.join(FOLDER, program)], { stdio: ['ignore', 'pipe', 'inherit'], env: environment });
    const line = await new Promise((resolve, reject) => {
        child.stdout.setEncoding('utf8').once('data', (text) => resolve(text.trim()));
        child.once('close', () => reject(new Error(`${program} ended`)));
    });
    return { line, pid: child.pid, stop: () => child.kill() };
}

const rate = (runs) => median(runs.map((r) => r.per_second));
const row = (what, { ours, theirs }) => ({ what, ours: rate(ours), theirs: rate(theirs), unit: '/s', against: 'a usual Node service' });

export async function measure() {
    if (!existsSync(path.join(FOLDER, 'node_modules'))) {
        await run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: FOLDER });
    }
    const paths = await projectPaths();
    const worker = await start('worker.mjs');
    const api = await start('api.mjs');
    const usual = `http://127.0.0.1:${api.line}`;
    const others = { 'Node API': api.pid, 'Node worker': worker.pid };
    const create = async (url) => onlyStatus(201, await load(['--url', `${url}/v1/projects`, '--body', PROJECT, '--connections', '64'], { others }));
    const read = async (url) => onlyStatus(200, await load(['--url', url, '--paths', paths, '--connections', '64'], { others }));
    try {
        const created = await alternate(() => create(stack.url), () => create(usual));
        const found = await alternate(() => read(stack.url), () => read(usual));
        return {
            rows: [row('create → 201, 64 connections', created), row('GET /v1/projects/{id}, 64 connections', found)],
            costs: [
                costs('  usual Node: create', created.theirs, (r) => r.per_second),
                costs('  usual Node: GET', found.theirs, (r) => r.per_second),
            ],
        };
    } finally {
        api.stop();
        worker.stop();
    }
}
