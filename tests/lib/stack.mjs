// A whole CortexBuild for one test file: its own vhost and database on the servers of this run, a gateway, a projects pool.
//
//     const stack = await startStack('api');
//     const api = stack.client({ company: stack.company, role: 'project_manager' });
//     await api.post('/v1/projects', { name: 'Bridge' });
//     await stack.worker.kill(); await stack.worker.start(); await stack.broker.alarm(true); …
//     await stack.stop();   // fails when a process did not end well or a sanitizer complained
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { client, send } from './http.mjs';
import { freePort } from './port.mjs';
import { Program } from './process.mjs';
import { broker, database, ensureServers, root, servers, state } from './servers.mjs';
import { claimsOf, sign } from './token.mjs';

const run = promisify(execFile);
export const build = process.env.CORTEX_BUILD ?? join(root, 'build', 'asan');
// `cortex token` signs with a key in a file; so do we.
const secret = randomBytes(32).toString('hex');
const POOLS = ['projects', 'webhooks'];
const isOlder = (from) => from.includes(join('.cortex', 'older')); // older.mjs

// amqpUrl: called with the name of the vhost, where the broker is not the private one of this run; all processes then have that one user, who
// may do everything. from: where the programs were built.
// tree: whose migrations make the database. pools: which run besides projects; they have keys for secrets.
export async function startStack(name, { gateway = {}, worker = {}, amqpUrl = undefined, from = build, tree = root, pools = [] } = {}) {
    await ensureServers();
    const unique = `${name}_${process.pid}`;
    await servers(['vhost', unique]);
    await servers(['createdb', unique]);
    await run('bash', [join(tree, 'deploy', 'local', 'migrate.sh')], {
        env: { ...process.env, CORTEX_DATABASE_URL: await database.url('cortex', unique) },
    });
    await servers(['logins']);
    if (!isOlder(from)) await servers(['walls', unique]); // a gateway of before needs what they take
    const stack = new Stack(unique);
    stack.amqpUrl = await (amqpUrl ?? broker.url)(unique); // of one who may do everything
    stack.hasUsers = !amqpUrl;
    await stack.prepare(gateway, worker, from);
    await stack.worker.start();
    for (const pool of pools) stack[pool] = await stack.addWorker(from, pool);
    await stack.gateway.start();
    return stack;
}

// It logs too little, or elsewhere, to be heard.
const isSilent = ({ command, settings: { CORTEX_LOG_LEVEL = 'info' } }) =>
    !command.endsWith('cortex-gateway') || !['debug', 'info'].includes(CORTEX_LOG_LEVEL);

class Stack {
    constructor(name) {
        this.name = name;
        this.secret = secret;
        this.database = database;
        this.broker = broker;
    }

    async prepare(gatewaySettings, workerSettings, from) {
        const keyFile = join(state, `token_key.${this.name}`);
        mkdirSync(state, { recursive: true });
        writeFileSync(keyFile, secret, { mode: 0o600 });
        this.keyFile = keyFile;
        this.secretKeys = join(state, `secret_keys.${this.name}`);
        writeFileSync(this.secretKeys, `k1 ${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
        this.hookKeys = join(state, `hook_keys.${this.name}`);
        writeFileSync(this.hookKeys, `h1 ${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
        this.address = `127.0.0.1:${await freePort()}`;
        this.url = `http://${this.address}`;
        this.brokerOf = await this.#brokerUsers();
        this.gatewaySettings = {
            CORTEX_DATABASE_URL: await database.url('cortex_gateway', this.name),
            CORTEX_AUTH_HS256_FILE: keyFile,
            CORTEX_GATEWAY_PROCESSES: '2',
            ...(!isOlder(from) && { CORTEX_HOOK_KEYS: this.hookKeys }),
            ...gatewaySettings,
        };
        this.others = [];
        this.workerSettings = workerSettings;
        // Workers of a commit from before there was a role for each pool log in as cortex_worker.
        this.databaseUrl = await database.url('cortex_worker', this.name);
        this.poolUrls = Object.fromEntries(await Promise.all(POOLS.map(async (pool) => [pool, await database.url(`cortex_${pool}`, this.name)])));
        if (this.hasUsers && !isOlder(from)) await this.#declareQueues(from);
        this.gateway = this.#newGateway('gateway', this.address, {}, from);
        this.worker = this.#newWorker('projects', 'projects', from);
        this.company = await this.addCompany('First');
    }

    // The settings by which each kind of process reaches the broker. Of a commit from before there were users by kind, all have the one.
    async #brokerUsers() {
        const one = { CORTEX_AMQP_URL: this.amqpUrl };
        const own = Object.fromEntries(await Promise.all(['gateway', ...POOLS].map(async (kind) =>
            [kind, { CORTEX_AMQP_URL: await broker.url(this.name, `cortex_${kind}`), CORTEX_BROKER_GIVEN: '1' }])));
        return (kind, from) => (this.hasUsers && !isOlder(from) ? own[kind] : one);
    }

    // As `./cortex up` does: no gateway may declare the queues of pools, and not all of these run here.
    async #declareQueues(from) {
        const env = { PATH: process.env.PATH, ...this.gatewaySettings, CORTEX_LISTEN: this.address, CORTEX_AMQP_URL: this.amqpUrl };
        await run(join(from, 'gateway', 'cortex-gateway'), ['--check-queues'], { env });
    }

    #newWorker(name, pool, from = build) {
        return new Program({
            name: `${this.name}-${name}`,
            command: join(from, 'workers', 'cortex-worker'),
            args: [pool],
            settings: {
                ...this.brokerOf(pool, from),
                CORTEX_DATABASE_URL: isOlder(from) ? this.databaseUrl : this.poolUrls[pool],
                ...(pool === 'webhooks' && { CORTEX_SECRET_KEYS: this.secretKeys, CORTEX_HOOK_KEYS: this.hookKeys }),
                ...this.workerSettings,
            },
            ready: async () => (await this.query(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'cortex-worker ${pool}'`)).length > 0,
        });
    }

    #newGateway(name, address, settings = {}, from = build) {
        // One process answers for itself; the parent says when all of them are ready.
        const program = new Program({
            name: `${this.name}-${name}`,
            command: join(from, 'gateway', 'cortex-gateway'),
            settings: { ...this.brokerOf('gateway', from), ...this.gatewaySettings, CORTEX_LISTEN: address, ...settings },
            ready: async () => (await send(`http://${address}/readyz`)).status === 200 && (isSilent(program) || program.hasLogged('parent.ready')),
        });
        return program;
    }

    // One more gateway, as on another host: { program, address, url }. `answers`: how /readyz answers it, where it is not to be ready.
    async addGateway(settings = {}, from = build, answers = undefined) {
        const address = `127.0.0.1:${await freePort()}`;
        const program = this.#newGateway(`gateway${this.others.length + 2}`, address, settings, from);
        if (answers) program.ready = async () => answers(await send(`http://${address}/readyz`));
        this.others.push(program);
        await program.start();
        return { program, address, url: `http://${address}` };
    }

    // One more pool of the same workers, as on another host; or another pool, which the stack does not run by itself.
    async addWorker(from = build, pool = 'projects') {
        const program = this.#newWorker(`${pool}${this.others.length + 2}`, pool, from);
        this.others.push(program);
        await program.start();
        return program;
    }

    // A tenant of its own for a test that counts things.
    async addCompany(name = 'Another', id = randomUUID()) {
        await this.run(`INSERT INTO company (id, name) VALUES ('${id}', '${name}')`);
        return id;
    }

    // Several, in the order of their ids.
    async addCompanies(count) {
        const ids = Array.from({ length: count }, () => randomUUID()).sort();
        await this.run(`INSERT INTO company (id, name) VALUES ${ids.map((id) => `('${id}', 'One of many')`).join(', ')}`);
        return ids;
    }

    async addUser(company, role = 'project_manager') {
        const id = randomUUID();
        await this.run(`INSERT INTO app_user (company_id, id, email, name, role)
            VALUES ('${company}', '${id}', '${id}@test.example', 'Somebody', '${role}')`);
        return id;
    }

    token(who = {}) {
        return sign(claimsOf({ company: this.company, ...who }), secret);
    }

    client(who = {}, agent = undefined, url = this.url) {
        return client(url, this.token(who), agent);
    }

    query(statement) {
        return database.query(this.name, statement);
    }

    run(statements) {
        return database.run(this.name, statements);
    }

    // `name ready unacknowledged` of every queue of this stack.
    async queues() {
        const text = await broker.ctl('list_queues', '--vhost', this.name, '--no-table-headers', 'name', 'messages_ready',
            'messages_unacknowledged');
        return new Map(text.trim().split('\n').filter(Boolean).map((line) => {
            const [name, ready, unacknowledged] = line.split('\t');
            return [name, { ready: Number(ready), unacknowledged: Number(unacknowledged) }];
        }));
    }

    async stop() {
        const failures = [];
        for (const program of [this.gateway, ...this.others, this.worker]) {
            await program.stop().catch((error) => failures.push(error.message));
            const complaint = program.complaints();
            if (complaint) failures.push(`${program.name}: ${complaint}`);
        }
        if (failures.length > 0) throw new Error(failures.join('\n'));
    }
}
