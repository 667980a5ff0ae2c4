// The private RabbitMQ and PostgreSQL of this test run (deploy/local/servers.sh). `cortex test` starts them and names their folder in
// CORTEX_STATE; a test that is run by hand starts its own and stops them when it ends.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const byHand = !process.env.CORTEX_STATE;
export const state = process.env.CORTEX_STATE ?? join(root, '.cortex', `test-node-${process.pid}`);
const script = join(root, 'deploy', 'local', 'servers.sh');
const environment = { ...process.env, CORTEX_STATE: state };

// servers.sh ARGUMENTS… → its standard output
export function servers(args, input = '') {
    return new Promise((resolve, reject) => {
        const options = { env: environment, maxBuffer: 256 << 20 };
        const child = execFile('bash', [script, ...args], options, (error, stdout, stderr) => {
            if (error) reject(new Error(`servers.sh ${args.join(' ')}: ${stderr || error.message}`));
            else resolve(stdout);
        });
        child.stdin.on('error', () => {}); // it ended before it read everything: its exit status says why
        child.stdin.end(input);
    });
}

let started;

export function ensureServers() {
    started ??= start();
    return started;
}

async function start() {
    if (!byHand) return;
    process.on('exit', () => {
        spawnSync('bash', [script, 'stop'], { env: environment });
        if (process.exitCode === 0 && existsSync(state)) rmSync(state, { recursive: true });
    });
    await servers(['start']);
}

export const broker = {
    // user: a kind of process (cortex_gateway, cortex_projects, …); without it, one who may do everything.
    url: async (vhost, user = 'cortex') => (await servers(['url', 'broker', vhost, user])).trim(),
    start: () => servers(['start', 'broker']),
    stop: () => servers(['stop', 'broker']),
    kill: () => servers(['kill', 'broker']),
    restart: () => servers(['restart', 'broker']),
    ctl: (...args) => servers(['ctl', ...args]),
    // A watermark of 0 is a memory alarm at once: the broker stops reading from whoever publishes.
    alarm: (on) => servers(['ctl', 'set_vm_memory_high_watermark', on ? '0' : '0.4']),
};

// A streaming replica of the database, which applies each commit so many milliseconds later.
export const replica = {
    url: async (login, name) => (await servers(['url', 'replica', login, name])).trim(),
    start: (milliseconds) => servers(['replica', 'start', `${milliseconds}`]),
    stop: () => servers(['replica', 'stop']),
};

export const database = {
    url: async (login, name) => (await servers(['url', 'database', login, name])).trim(),
    start: () => servers(['start', 'database']),
    stop: () => servers(['stop', 'database']),
    kill: () => servers(['kill', 'database']),
    restart: () => servers(['restart', 'database']),
    // Rows of one statement, as objects.
    query: async (name, statement) => {
        const rows = `SELECT coalesce(json_agg(row), '[]') FROM (${statement}) AS row;`;
        return JSON.parse(await servers(['sql', 'postgres', name], rows));
    },
    run: (name, statements) => servers(['sql', 'postgres', name], statements),
};
