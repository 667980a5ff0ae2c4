import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import WebSocket from 'ws';

import { exchange } from '../../lib/raw.mjs';
import { endpoint, Speaker } from './clients.mjs';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='; // RFC 6455 1.3, with its answer
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export function handshake(shared) {
    // null takes a header out.
    const ask = async (changes = {}, method = 'GET', version = '1.1') => {
        const headers = {
            Host: 'localhost', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': KEY,
            'Sec-WebSocket-Version': '13', ...changes,
        };
        const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().filter((one) => one !== null).map((one) => `${name}: ${one}\r\n`));
        const { text } = await exchange(shared.stack.address, `${method} /connection/websocket HTTP/${version}\r\n${lines.join('')}\r\n`, { ms: 400 });
        const [head] = text.split('\r\n\r\n');
        return { status: Number(head.split(' ')[1]), head };
    };
    const header = ({ head }, name) => head.match(new RegExp(`^${name}: (.*)$`, 'im'))?.[1];

    describe('the opening handshake', () => {
        test('test_upgrade_when_as_rfc_6455_asks_then_101_with_its_accept', async () => {
            const answer = await ask();
            assert.equal(answer.status, 101);
            assert.equal(header(answer, 'Sec-WebSocket-Accept'), ACCEPT);
            assert.equal(header(answer, 'Upgrade'), 'websocket');
            assert.equal(header(answer, 'Connection'), 'Upgrade');
            assert.equal(header(answer, 'Sec-WebSocket-Protocol'), undefined);
            assert.equal(header(answer, 'Sec-WebSocket-Extensions'), undefined);
        });

        test('test_upgrade_when_tokens_come_in_lists_and_any_case_then_101', async () => {
            assert.equal((await ask({ Connection: 'keep-alive, UPGRADE', Upgrade: 'h2c, WebSocket' })).status, 101);
            assert.equal((await ask({ Connection: ['keep-alive', 'Upgrade'] })).status, 101);
        });

        test('test_upgrade_when_not_a_websocket_request_then_426_saying_what_is', async () => {
            for (const changes of [
                { Upgrade: null }, { Upgrade: 'h2c' }, { Connection: null }, { Connection: 'keep-alive' },
                { 'Sec-WebSocket-Version': null }, { 'Sec-WebSocket-Version': '8' }, { 'Sec-WebSocket-Version': '13, 8' },
            ]) {
                const answer = await ask(changes);
                assert.equal(answer.status, 426, JSON.stringify(changes));
                assert.equal(header(answer, 'Sec-WebSocket-Version'), '13');
                assert.equal(header(answer, 'Upgrade'), 'websocket');
            }
            assert.equal((await ask({}, 'GET', '1.0')).status, 426);
        });

        test('test_upgrade_when_the_key_is_wrong_then_400', async () => {
            for (const key of [null, '', 'short', `${KEY}=`, 'dGhlIHNhbXBsZSBub25jZS4=', 'dGhlIHNhbXBsZSBub25jZ!==', [KEY, KEY]])
                assert.equal((await ask({ 'Sec-WebSocket-Key': key })).status, 400, String(key));
        });

        test('test_upgrade_when_not_a_get_then_405', async () => {
            assert.equal((await ask({}, 'POST')).status, 405);
        });

        test('test_upgrade_when_asked_with_head_then_426_as_it_opens_no_websocket', async () => {
            const answer = await ask({}, 'HEAD');
            assert.equal(answer.status, 426);
            assert.equal(header(answer, 'Upgrade'), 'websocket');
        });

        test('test_upgrade_when_from_a_page_of_another_origin_then_403', async () => {
            assert.equal((await ask({ Origin: 'https://evil.example' })).status, 403);
            assert.equal((await ask({ Origin: 'https://app.example' })).status, 101);
            assert.equal((await ask({ Origin: 'https://other.example' })).status, 101);
            for (const origin of ['null', '', 'https://app.example.evil.example', 'https://localhost:81']) assert.equal((await ask({ Origin: origin })).status, 403, origin);
        });

        test('test_upgrade_when_from_a_page_of_its_own_host_then_101', async () => {
            for (const [Host, Origin] of [['localhost', 'http://localhost'], ['Build.example:8443', 'https://build.example:8443'],
                ['build.example', 'https://build.example:443'], ['build.example:80', 'http://Build.example'], ['build.example:443', 'https://build.example']])
                assert.equal((await ask({ Host, Origin })).status, 101, `${Origin} at ${Host}`);
            for (const [Host, Origin] of [['build.example:80', 'https://build.example'], ['build.example', 'https://build.example:8443']])
                assert.equal((await ask({ Host, Origin })).status, 403, `${Origin} at ${Host}`);
        });

        test('test_upgrade_when_from_a_page_of_an_allowed_origin_written_otherwise_then_101', async () => {
            for (const Origin of ['HTTPS://App.Example', 'https://app.example:443']) assert.equal((await ask({ Origin })).status, 101, Origin);
            for (const Origin of ['http://app.example', 'https://app.example:8443']) assert.equal((await ask({ Origin })).status, 403, Origin);
        });

        test('test_upgrade_when_a_listed_proxy_names_the_host_then_that_is_its_own', async () => {
            const forwarded = { Host: '10.0.0.7:8080', 'X-Forwarded-Host': 'Build.example, inner.example' };
            assert.equal((await ask({ ...forwarded, Origin: 'https://build.example' })).status, 101);
            for (const Origin of ['https://inner.example', 'http://10.0.0.7:8080']) assert.equal((await ask({ ...forwarded, Origin })).status, 403, Origin);
        });

        test('test_subprotocol_when_ours_is_offered_then_echoed', async () => {
            const speaker = await Speaker.open(shared.stack, { protocols: ['another', 'centrifuge-json'] });
            assert.equal(speaker.socket.protocol, 'centrifuge-json');
            await speaker.close();
        });

        test('test_subprotocol_when_ours_is_not_offered_then_none_is_chosen', async () => {
            const socket = new WebSocket(endpoint(shared.stack), ['another']);
            const error = await new Promise((resolve) => socket.once('error', resolve));
            assert.match(error.message, /subprotocol/);
        });
    });
}
