// Keys that are replaced: whoever can get a new token goes on, however the keys are replaced and whichever process answers.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign as signature } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { describe, test } from 'node:test';

import { expectProblem, expectStatus } from '../api/expect.mjs';
import { newCentrifuge, once } from '../realtime/clients.mjs';
import { send } from '../../lib/http.mjs';
import { Logged, sleep, until } from '../../lib/process.mjs';
import { claimsOf, sign } from '../../lib/token.mjs';

const PROCESSES = 3;

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwk = (kid, secret, more = {}) => ({ kty: 'oct', kid, k: Buffer.from(secret).toString('base64url'), ...more });
const newSecret = () => randomBytes(32).toString('hex');

function signByPair(claims, privateKey) {
    const text = `${encode({ alg: 'EdDSA', typ: 'JWT' })}.${encode(claims)}`;
    return `${text}.${signature(null, Buffer.from(text), privateKey).toString('base64url')}`;
}

// Each way: the settings of a gateway, and what makes its next key; that returns how tokens are signed from then on. None of the tokens
// names its key.
const ways = {
    a_secret_in_one_file: (file) => [{ CORTEX_AUTH_HS256_FILE: file }, () => {
        const secret = newSecret();
        writeFileSync(file, secret);
        return (claims) => sign(claims, secret);
    }],
    a_pair_whose_file_is_renamed: (file) => [{ CORTEX_AUTH_HS256_FILE: '', CORTEX_AUTH_EDDSA_FILE: file }, () => {
        const { publicKey, privateKey } = generateKeyPairSync('ed25519');
        writeFileSync(`${file}.new`, publicKey.export({ type: 'spki', format: 'pem' }));
        renameSync(`${file}.new`, file);
        return (claims) => signByPair(claims, privateKey);
    }],
    a_set_with_the_same_id: (file) => [{ CORTEX_AUTH_HS256_FILE: '', CORTEX_AUTH_KEYS: file }, () => {
        const secret = newSecret();
        writeFileSync(file, JSON.stringify({ keys: [jwk('main', secret)] }));
        return (claims) => sign(claims, secret);
    }],
    another_file_in_the_settings: (file) => [{ CORTEX_AUTH_HS256_FILE: undefined, CORTEX_CONFIG: file }, () => {
        const secret = newSecret(), path = `${file}.${secret.slice(0, 8)}`;
        writeFileSync(path, secret);
        writeFileSync(file, `CORTEX_AUTH_HS256_FILE=${path}\n`);
        return (claims) => sign(claims, secret);
    }],
};

// Clients that come and go over many connections, so that every process is asked.
class Crowd {
    constructor(stack, gateway, signer) {
        Object.assign(this, { stack, gateway, signer, ends: [], asked: 0, answers: [], isOver: false });
    }

    token() {
        return this.signer(claimsOf({ company: this.stack.company }));
    }

    async open(count) {
        this.clients = Array.from({ length: count }, () => newCentrifuge(this.gateway, {
            token: this.token(),
            getToken: async () => (this.asked++, this.token()),
        }));
        for (const client of this.clients) {
            client.on('disconnected', ({ code }) => this.ends.push(code));
            client.connect();
        }
        await Promise.all(this.clients.map((client) => client.ready(10_000)));
        this.asking = this.#ask();
    }

    // Each request on a connection of its own, with a new token of whatever key is the newest; and each time one client comes anew.
    async #ask() {
        for (let i = 0; !this.isOver; i += 1) {
            const { status, text } = await send(`${this.gateway.url}/v1/projects`,
                { headers: { authorization: `Bearer ${this.token()}` }, agent: new Agent({ keepAlive: false }) });
            this.answers.push(status === 200 ? 200 : `${status} ${text}`);
            const visitor = newCentrifuge(this.gateway, { token: this.token() }); // it can get no other token
            visitor.on('disconnected', ({ code }) => this.ends.push(code));
            visitor.connect();
            await until(() => visitor.state === 'connected' || this.ends.length > 0, 10_000, 'a visitor');
            visitor.removeAllListeners('disconnected');
            visitor.disconnect();
        }
    }

    async close() {
        await Promise.all(this.clients.map((client) => client.ready(10_000)));
        this.isOver = true;
        await this.asking;
        this.clients.forEach((client) => client.removeAllListeners('disconnected').disconnect());
        assert.deepEqual(this.ends, []);
        assert.deepEqual([...new Set(this.answers)], [200]);
        return this.answers.length;
    }
}

async function reload(gateway, log) {
    const before = log.of('parent.replaced').length;
    process.kill(gateway.program.child.pid, 'SIGHUP');
    await until(() => log.of('parent.replaced').length >= before + PROCESSES, 30_000, 'new processes');
}

export function keys(shared) {
    describe('keys', () => {
        const startGateway = (settings) => shared.stack.addGateway(
            { CORTEX_GATEWAY_PROCESSES: `${PROCESSES}`, CORTEX_DRAIN_MS: '500', ...settings });
        const get = (gateway, token) => send(`${gateway.url}/v1/projects`, { headers: { authorization: `Bearer ${token}` } });
        const claims = (others = {}) => claimsOf({ company: shared.stack.company, ...others });

        for (const [what, way] of Object.entries(ways))
            test(`test_key_when_it_is_${what}_and_replaced_then_no_session_is_lost_in_any_process`, async (t) => {
                const [settings, next] = way(`${shared.stack.keyFile}.${what}`);
                const crowd = new Crowd(shared.stack, undefined, next());
                crowd.gateway = await startGateway(settings);
                const log = new Logged(crowd.gateway.program, 'parent.replaced');
                const forged = crowd.signer;
                await crowd.open(6);
                crowd.signer = next(); // no process has been asked to reload
                await until(() => crowd.answers.length > 5, 20_000, 'requests with the new key');
                await reload(crowd.gateway, log);
                const before = crowd.answers.length;
                await until(() => crowd.answers.length > before + 5, 20_000, 'requests after that');
                const count = await crowd.close();
                assert.ok(crowd.asked > 0, 'sessions with tokens of the old key were asked for new ones');
                const refused = await get(crowd.gateway, forged(claims()));
                expectProblem(refused, 401, 'unauthenticated');
                assert.match(refused.headers['www-authenticate'], /error="invalid_token".*key is not in use/);
                t.diagnostic(`${count} requests, as many sockets; ${crowd.asked} new tokens`);
                log.close();
                await crowd.gateway.program.stop();
            });

        test('test_key_when_replaced_with_a_restart_then_tokens_of_before_are_told_from_forged_ones', async () => {
            const [settings, next] = ways.a_secret_in_one_file(`${shared.stack.keyFile}.restart`);
            let signer = next(), asked = 0;
            const gateway = await startGateway(settings);
            const client = newCentrifuge(gateway, { token: signer(claims()), getToken: async () => (asked++, signer(claims())) });
            const ends = [];
            client.on('disconnected', ({ code }) => ends.push(code));
            client.connect();
            await client.ready();
            await gateway.program.stop();
            signer = next();
            await gateway.program.start();
            await client.ready(20_000);
            assert.deepEqual(ends, []);
            assert.ok(asked > 0, 'the client was asked for a new token');
            client.disconnect();
            await sleep(1100); // a token of the second in which the key was replaced may be one of the old key
            const forged = newCentrifuge(gateway, { token: sign(claims({ iat: Math.floor(Date.now() / 1000) }), newSecret()) });
            const away = once(forged, 'disconnected');
            forged.connect();
            assert.equal((await away).code, 3500);
            await gateway.program.stop();
        });

        test('test_keys_when_rotated_by_their_ids_then_a_session_asks_for_a_new_token_and_lives_on', async () => {
            const tokenOf = (kid, secret) => sign(claims(), secret, { alg: 'HS256', typ: 'at+jwt', kid });
            const [old, fresh] = [newSecret(), newSecret()];
            const file = `${shared.stack.keyFile}.jwks`;
            writeFileSync(file, JSON.stringify({ keys: [jwk('old', old)] }));
            const gateway = await startGateway({ CORTEX_AUTH_HS256_FILE: '', CORTEX_AUTH_KEYS: file });
            const log = new Logged(gateway.program, 'parent.replaced');
            let [kid, secret, asked] = ['old', old, 0];
            const client = newCentrifuge(gateway, { token: tokenOf(kid, secret), getToken: async () => (asked++, tokenOf(kid, secret)) });
            const ends = [];
            client.on('disconnected', ({ code }) => ends.push(code));
            client.connect();
            await client.ready();
            const oldToken = tokenOf('old', old);
            expectStatus(await get(gateway, oldToken), 200);

            writeFileSync(file, JSON.stringify({ keys: [jwk('old', old), jwk('new', fresh)] })); // both, for a while
            await reload(gateway, log);
            expectStatus(await get(gateway, oldToken), 200);
            expectStatus(await get(gateway, tokenOf('new', fresh)), 200);
            await client.ready();

            [kid, secret] = ['new', fresh];
            const reconnected = once(client, 'connected');
            writeFileSync(file, JSON.stringify({ keys: [jwk('new', fresh)] }));
            await reload(gateway, log);
            await reconnected;
            await client.ready();
            assert.deepEqual(ends, []);
            assert.ok(asked > 0, 'the client was asked for a new token');
            const refused = await get(gateway, oldToken);
            expectProblem(refused, 401, 'unauthenticated');
            assert.match(refused.headers['www-authenticate'], /error="invalid_token".*key is not in use/);
            const forged = newCentrifuge(gateway, { token: tokenOf('new', newSecret()) });
            const away = once(forged, 'disconnected');
            forged.connect();
            assert.equal((await away).code, 3500);
            client.disconnect();
            log.close();
        });
    });
}
