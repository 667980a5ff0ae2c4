// An environment that names proxies and servers which are not ours.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';

// Nobody listens on port 9.
const PROXY = 'http://127.0.0.1:9';
const STRANGE = {
    http_proxy: PROXY,
    https_proxy: PROXY,
    all_proxy: PROXY,
    HTTP_PROXY: PROXY,
    ALL_PROXY: PROXY,
    no_proxy: 'example.com',
    PGHOSTADDR: '127.0.0.9',
    PGPORT: '9',
    PGSSLMODE: 'verify-full',
    PGSERVICE: 'nowhere',
    PGUSER: 'nobody',
    CDPATH: '/:/tmp',
};

export default function strangeTests(shared) {
    describe('where the environment names proxies and other servers', () => {
        before(() => writeFileSync(join(shared.checkout.folder, '.curlrc'), `proxy = ${PROXY}\nhead\n`));

        const cortex = async (...args) => {
            const { status, stdout, stderr } = await shared.checkout.try(args, { ...STRANGE, HOME: shared.checkout.folder });
            assert.equal(status, 0, `./cortex ${args.join(' ')}: ${stderr}`);
            assert.doesNotMatch(stderr, /unexpected failure/);
            return stdout;
        };

        test('test_up_when_the_one_before_was_killed_while_RabbitMQ_started_then_it_waits_and_goes_on', async () => {
            const { folder, state } = shared.checkout;
            const env = { ...await shared.checkout.environment(STRANGE), HOME: folder };
            const first = spawn(join(folder, 'cortex'), ['up'], { env, cwd: folder, detached: true, stdio: 'ignore' });
            await until(() => statSync(join(state, 'log', 'broker.log'), { throwIfNoEntry: false })?.size > 0, 180_000, 'RabbitMQ to begin');
            process.kill(-first.pid, 'SIGKILL');
            assert.match(await cortex('up'), /CortexBuild answers at/);
        });

        test('test_up_when_a_proxy_is_set_then_it_starts_and_its_examples_go_past_the_proxy', async () => {
            const said = await cortex('up');
            assert.match(said, /CortexBuild answers at/);
            assert.match(said, /curl -sS --noproxy '\*' http/);
        });

        test('test_commands_when_no_host_is_to_be_proxied_then_none_is', () => {
            const said = (others) => execFileSync('bash', ['-c', '. deploy/local/lib/common.sh && printf %s "$no_proxy"'],
                { cwd: shared.checkout.folder, env: { PATH: process.env.PATH, no_proxy: others }, encoding: 'utf8' });
            assert.equal(said('*'), '*'); // which counts only where it stands alone
            assert.equal(said('example.com'), '127.0.0.1,localhost,::1,example.com');
        });

        test('test_commands_when_a_proxy_is_set_then_they_reach_the_gateway_and_the_servers', async () => {
            assert.match(await cortex('status'), /^gateway +ready /m);
            assert.match(await cortex('scale'), /^projects: 1 wanted[^]*^webhooks: 1 wanted/m);
            await cortex('dead');
            assert.match(await cortex('schedules'), /inbox\.retention/);
            await cortex('grow');
            assert.match(await cortex('up'), /nothing was changed/);
        });
    });
}
