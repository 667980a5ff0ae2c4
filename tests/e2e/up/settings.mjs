// What `up` is told, keeps, and refuses before it stops anything.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { send } from '../../lib/http.mjs';
import { broker, database, ensureServers, servers } from '../../lib/servers.mjs';

const PARTS = ['gateway', 'projects', 'webhooks', 'broker', 'database'];
const NOTHING = { CORTEX_LISTEN: undefined, CORTEX_GATEWAY_PROCESSES: undefined };

export default function settingsTests(shared) {
    const pids = () => PARTS.map((part) => shared.checkout.pid(part));
    const up = async (settings = {}) => {
        const { status, stdout, stderr } = await shared.checkout.try(['up'], { ...NOTHING, ...settings });
        assert.equal(status, 0, stderr);
        return stdout + stderr;
    };
    const serves = async () => assert.equal((await send(`http://127.0.0.1:${shared.checkout.port}/readyz`)).status, 200);

    describe('settings that up keeps', () => {
        before(() => shared.checkout.cortex('up'));

        test('test_up_when_it_is_given_no_settings_then_those_of_before_hold_and_are_shown', async () => {
            const running = pids();
            const said = await up();
            assert.match(said, new RegExp(`kept from an earlier up: .*CORTEX_LISTEN=127\\.0\\.0\\.1:${shared.checkout.port}`));
            assert.match(said, /nothing was changed/);
            assert.deepEqual(pids(), running);
        });

        test('test_up_when_the_address_changes_and_the_port_does_not_then_the_port_is_not_taken', async () => {
            const own = `127.0.0.1:${shared.checkout.port}`;
            const said = await up({ CORTEX_LISTEN: `0.0.0.0:${shared.checkout.port}` });
            assert.match(said, new RegExp(`CORTEX_LISTEN: ${own} becomes 0\\.0\\.0\\.0:`));
            await serves();
            await up({ CORTEX_LISTEN: own });
        });

        test('test_up_when_CORTEX_CONFIG_names_a_file_then_it_counts_now_and_the_next_time', async () => {
            const file = join(shared.checkout.folder, 'my settings.conf');
            const allowed = async (origin) =>
                (await shared.checkout.request('GET', '/v1/projects', undefined, { origin })).headers['access-control-allow-origin'];
            writeFileSync(file, '# ours\n\n CORTEX_CORS_ORIGINS = https://one.example \n');
            await up({ CORTEX_CONFIG: file });
            assert.equal(await allowed('https://one.example'), 'https://one.example');
            writeFileSync(file, 'CORTEX_CORS_ORIGINS=https://two.example');
            await up();
            assert.equal(await allowed('https://two.example'), 'https://two.example');
            await up({ CORTEX_CONFIG: '' });
            assert.equal(await allowed('https://two.example'), undefined);
        });

        test('test_up_when_it_once_had_a_database_then_it_keeps_it_without_demo_data_until_it_is_told_otherwise', async () => {
            const theirs = `up_${process.pid}`;
            await ensureServers();
            await servers(['createdb', theirs]);
            const url = await database.url('cortex', theirs);
            const { status } = await shared.checkout.request('POST', '/v1/projects', { name: 'In the private database' });
            assert.equal(status, 201);
            const said = await up({ CORTEX_DATABASE_URL: url });
            assert.match(said, /CORTEX_DATABASE_URL: the private PostgreSQL becomes postgresql:\/\/\*\*\*@127[^;]*; no data is copied/);
            assert.doesNotMatch(said, new RegExp(/:([^:@]+)@/.exec(url)[1]));
            assert.match(said, /holds no demo company/);
            await up();
            assert.deepEqual(await database.query(theirs, 'SELECT id FROM company'), []);
            assert.deepEqual((await shared.checkout.request('GET', '/v1/projects')).body.data, []);
            await up({ CORTEX_DATABASE_URL: '' });
            const { body } = await shared.checkout.request('GET', '/v1/projects?limit=100');
            assert.ok(body.data.some(({ name }) => name === 'In the private database'));
        });
    });

    describe('settings that cannot work', () => {
        const refused = (what, settings, ...says) => test(`test_up_when_${what}_then_it_says_so_and_nothing_is_stopped`, async () => {
            const running = pids();
            const { status, stderr } = await shared.checkout.try(['up'], { ...NOTHING, ...settings() });
            assert.notEqual(status, 0);
            says.forEach((words) => assert.match(stderr, words));
            assert.match(stderr, /nothing was stopped/);
            assert.deepEqual(pids(), running);
            await serves();
        });

        refused('two_numbers_are_wrong', () => ({ CORTEX_BATCH_MAX: 'abc', CORTEX_MAX_BODY: '99g' }),
            /CORTEX_BATCH_MAX=abc is not a number \(the environment\)/, /CORTEX_MAX_BODY=99g must lie between .* \(the environment\)/);
        refused('a_name_is_misspelt', () => ({ CORTEX_DATABSE_URL: 'postgresql://a/b' }),
            /no setting CORTEX_DATABSE_URL \(the environment\); the nearest is CORTEX_DATABASE_URL/);
        refused('a_line_of_the_file_is_wrong', () => {
            const file = join(shared.checkout.folder, 'wrong.conf');
            writeFileSync(file, '# wrong\nCORTEX_DRAIN_MS=soon\nCORTEX_FOO=1\n');
            return { CORTEX_CONFIG: file };
        }, /CORTEX_DRAIN_MS=soon is not a number \(.*wrong\.conf line 2\)/, /no setting CORTEX_FOO \(.*wrong\.conf line 3\)/);
        refused('only_the_letters_of_a_name_are_others', () => ({ CORTEX_Drain_ms: '1' }),
            /no setting CORTEX_Drain_ms \(the environment\); the nearest is CORTEX_DRAIN_MS/);
        refused('a_value_has_two_lines', () => ({ CORTEX_LOG_LEVEL: 'info\nCORTEX_DRAIN_MS=1' }), /CORTEX_LOG_LEVEL \(the environment\) has a line end/);
        refused('the_file_is_a_folder', () => ({ CORTEX_CONFIG: shared.checkout.folder }), /CORTEX_CONFIG=.* is no file/);
        refused('the_file_is_missing', () => ({ CORTEX_CONFIG: '/nowhere/at.all' }), /CORTEX_CONFIG=\/nowhere\/at\.all .*cannot be read/);
        refused('a_key_cannot_be_read', () => ({ CORTEX_AUTH_HS256_FILE: '/nowhere/key' }), /CORTEX_AUTH_HS256_FILE.*\/nowhere\/key/);
        refused('the_address_is_none', () => ({ CORTEX_LISTEN: 'here' }), /CORTEX_LISTEN.*here/);
        refused('the_port_is_none', () => ({ CORTEX_LISTEN: '127.0.0.1:0' }), /CORTEX_LISTEN must be address:port with a port from 1 to 65535/);
        refused('the_address_is_of_another_machine', () => ({ CORTEX_LISTEN: `203.0.113.7:${shared.checkout.port}` }),
            /CORTEX_LISTEN: "203\.0\.113\.7:\d+": Cannot assign requested address/);
        refused('the_url_of_the_broker_is_none', () => ({ CORTEX_AMQP_URL: 'http://127.0.0.1' }), /CORTEX_AMQP_URL.*amqp:.*\(the environment\)/);
        refused('a_parameter_of_the_url_is_misspelt', () => ({ CORTEX_AMQP_URL: 'amqp://a:secret@127.0.0.1/?hartbeat=30' }),
            /CORTEX_AMQP_URL, character 28: there is no such parameter.*\(the environment\)/, /^(?!.*secret)/s);
        refused('the_url_of_the_database_is_none', () => ({ CORTEX_DATABASE_URL: 'postgresql://a:sec/ret@127.0.0.1/c' }),
            /CORTEX_DATABASE_URL, character 19: a \/ in the user or the password must be written as %2F.*\(the environment\)/,
            /^(?!.*ret@)/s);
        refused('the_broker_does_not_answer', () => ({ CORTEX_AMQP_URL: 'amqp://a:b@127.0.0.1:9/' }),
            /CORTEX_AMQP_URL: .*Connection refused.*\(the environment\)/);
        refused('the_database_does_not_answer', () => ({ CORTEX_DATABASE_URL: 'postgresql://a:b@127.0.0.1:9/c' }),
            /CORTEX_DATABASE_URL: .*Connection refused.*\(the environment\)/);
        refused('the_number_of_partitions_is_another', () => ({ CORTEX_PARTITIONS: '4' }), /CORTEX_PARTITIONS is 4 here, and 8 is recorded/);

        test('test_up_when_the_broker_refuses_the_password_then_it_says_why', async () => {
            const url = (await broker.url('')).replace(/:[^:@]+@/, ':wrong@');
            const { status, stderr } = await shared.checkout.try(['up'], { ...NOTHING, CORTEX_AMQP_URL: url });
            assert.notEqual(status, 0);
            assert.match(stderr, /CORTEX_AMQP_URL: .*ACCESS_REFUSED/i);
        });

        test('test_up_when_a_number_is_forgotten_then_it_is_no_value_for_the_programs', async () => {
            assert.match(await up({ CORTEX_DRAIN_MS: '' }), /CortexBuild answers at/);
        });

        test('test_up_when_the_folder_is_none_for_RabbitMQ_or_cannot_be_written_then_it_says_so_at_once', async () => {
            for (const [folder, words] of [["/tmp/it's", /cannot live below this path/], ['/tmp/a[1]', /cannot live/], ['/proc/none', /cannot write to \/proc\/none/]]) {
                const { status, stderr } = await shared.checkout.try(['up'], { ...NOTHING, CORTEX_STATE: folder });
                assert.equal(status, 1);
                assert.match(stderr, words);
                assert.doesNotMatch(stderr, /unexpected failure/);
            }
        });

        test('test_up_when_a_variable_only_looks_like_a_setting_then_it_says_that_it_has_no_effect', async () => {
            assert.match(await up({ CORTEX_XSOAR_TENANT: 'x' }), /no setting CORTEX_XSOAR_TENANT.*no effect/);
        });
    });
}
