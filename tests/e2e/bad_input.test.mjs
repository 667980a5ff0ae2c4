// Whatever arrives ends in a clear error or a dead letter, and the next client is served as if nothing had happened.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import test from 'node:test';

import { send } from '../lib/http.mjs';
import { exchange, statuses } from '../lib/raw.mjs';
import { startStack } from '../lib/stack.mjs';
import { bodies } from './bad_input/bodies.mjs';
import { poison } from './bad_input/poison.mjs';

const shared = {};
before(async () => {
    const settings = { CORTEX_HEAD_TIMEOUT_MS: '1000', CORTEX_BODY_TIMEOUT_MS: '1000', CORTEX_IDLE_TIMEOUT_MS: '1500' };
    shared.stack = await startStack('bad_input', { gateway: settings });
});
after(() => shared.stack?.stop());

const HOST = 'Host: localhost\r\n';

// name: [bytes, statuses that may be the answer]. The connection must be closed after each: its framing is lost.
const smuggling = {
    'content_length_with_transfer_encoding':
        [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG`, [400]],
    'transfer_encoding_with_content_length':
        [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG`, [400]],
    'two_content_lengths': [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, [400]],
    'two_equal_content_lengths': [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab`, [400]],
    'a_list_of_content_lengths': [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length: 2, 2\r\n\r\nab`, [400]],
    'a_signed_content_length': [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length: +2\r\n\r\nab`, [400]],
    'a_negative_content_length': [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\nab`, [400]],
    'a_hexadecimal_content_length': [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length: 0x2\r\n\r\nab`, [400]],
    'a_content_length_beyond_64_bits': [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length: 18446744073709551617\r\n\r\na`, [400, 413]],
    'an_unknown_transfer_coding': [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, [400, 501]],
    'chunked_that_is_not_last': [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, [400, 501]],
    'chunked_twice': [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        [400, 501]],
    'chunked_written_oddly': [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, [400, 501]],
    'chunked_in_http_1_0': [`POST /v1/projects HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400]],
    'a_bare_lf_after_the_request_line': [`GET /healthz HTTP/1.1\n${HOST}\r\n`, [400]],
    'a_bare_lf_after_a_field': ['GET /healthz HTTP/1.1\r\nHost: localhost\n\r\n', [400]],
    'a_bare_lf_that_ends_the_head': [`GET /healthz HTTP/1.1\r\n${HOST}\n`, [400]],
    'a_bare_cr_in_a_value': [`GET /healthz HTTP/1.1\r\n${HOST}X: a\rb\r\n\r\n`, [400]],
    'a_folded_value': [`GET /healthz HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`, [400]],
    'a_space_before_the_colon': [`POST /v1/projects HTTP/1.1\r\n${HOST}Content-Length : 2\r\n\r\nab`, [400]],
    'a_space_before_the_first_field': [`GET /healthz HTTP/1.1\r\n X: y\r\n${HOST}\r\n`, [400]],
    'a_nul_in_a_value': [`GET /healthz HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`, [400]],
    'a_nul_in_a_name': [`GET /healthz HTTP/1.1\r\n${HOST}X\0Y: a\r\n\r\n`, [400]],
    'a_field_without_a_colon': [`GET /healthz HTTP/1.1\r\n${HOST}rubbish\r\n\r\n`, [400]],
    'a_field_without_a_name': [`GET /healthz HTTP/1.1\r\n${HOST}: a\r\n\r\n`, [400]],
    'no_host': ['GET /healthz HTTP/1.1\r\n\r\n', [400]],
    'two_hosts': [`GET /healthz HTTP/1.1\r\n${HOST}${HOST}\r\n`, [400]],
    'a_malformed_chunk_size': [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`, [400]],
    'a_chunk_size_beyond_64_bits':
        [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n`, [400, 413]],
    'a_chunk_that_is_longer_than_it_says':
        [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`, [400]],
    'a_chunk_ended_by_a_bare_lf':
        [`POST /v1/projects HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`, [400]],
    'http_0_9': ['GET /healthz\r\n\r\n', [400, 505]],
    'http_2_preface': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
    'a_later_version': [`GET /healthz HTTP/1.2\r\n${HOST}\r\n`, [400, 505]],
    'two_spaces_in_the_request_line': [`GET  /healthz HTTP/1.1\r\n${HOST}\r\n`, [400]],
    'a_lower_case_method': [`get /healthz HTTP/1.1\r\n${HOST}\r\n`, [400, 501]],
    'tls_on_a_plain_port': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [400]],
    'rubbish': ['\0\xff\xfe\x80'.repeat(64), [400]],
};

describe('framing', () => {
    for (const [what, [bytes, allowed]] of Object.entries(smuggling)) {
        test(`test_${what}_then_refused_and_closed`, async () => {
            // What follows must not be taken for a request of its own.
            const { text, closed } = await exchange(shared.stack.address, `${bytes}GET /healthz HTTP/1.1\r\n${HOST}\r\n`);
            const found = statuses(text);
            assert.equal(found.length, 1, text);
            assert.ok(allowed.includes(found[0]), text);
            assert.ok(closed, 'the connection is closed');
            assert.match(text, /content-type: application\/problem\+json/i);
        });
    }

    test('test_pipelined_requests_then_answered_in_order', async () => {
        const { text } = await exchange(shared.stack.address,
            `GET /healthz HTTP/1.1\r\n${HOST}\r\nGET /v1/projects HTTP/1.1\r\n${HOST}\r\nGET /nothing HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
        assert.deepEqual(statuses(text), [200, 401, 404]);
    });

    test('test_a_request_octet_by_octet_then_200', async () => {
        const { text } = await exchange(shared.stack.address, [...`GET /healthz HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`], { pause: 2 });
        assert.deepEqual(statuses(text), [200]);
    });
});

describe('bounds', () => {
    test('test_a_huge_field_then_431', async () => {
        const { text, closed } = await exchange(shared.stack.address, `GET /healthz HTTP/1.1\r\n${HOST}X: ${'a'.repeat(70_000)}\r\n\r\n`);
        assert.deepEqual(statuses(text), [431]);
        assert.ok(closed);
    });

    test('test_a_huge_target_then_414', async () => {
        const { text } = await exchange(shared.stack.address, `GET /${'a'.repeat(70_000)} HTTP/1.1\r\n${HOST}\r\n`);
        assert.deepEqual(statuses(text), [414]);
    });

    test('test_many_fields_then_431', async () => {
        const { text } = await exchange(shared.stack.address, `GET /healthz HTTP/1.1\r\n${HOST}${'X: y\r\n'.repeat(1000)}\r\n`);
        assert.deepEqual(statuses(text), [431]);
    });

    test('test_a_head_that_never_ends_then_431_without_waiting_for_it', async () => {
        const { text, closed } = await exchange(shared.stack.address, [`GET /healthz HTTP/1.1\r\n${HOST}`, ...Array(40).fill(`X: ${'y'.repeat(1000)}\r\n`)],
            { pause: 5 });
        assert.deepEqual(statuses(text), [431]);
        assert.ok(closed);
    });

    test('test_a_slow_head_then_408_within_its_time', async () => {
        const begun = Date.now();
        const drip = [`GET /healthz HTTP/1.1\r\n${HOST}`, ...Array(30).fill('X: y\r\n')];
        const { text, closed } = await exchange(shared.stack.address, drip, { pause: 200, ms: 10_000 });
        assert.deepEqual(statuses(text), [408]);
        assert.ok(closed);
        assert.ok(Date.now() - begun < 8000, 'the drip does not extend the time');
    });

    test('test_a_slow_body_then_408_within_its_time', async () => {
        const token = shared.stack.token();
        const head = `POST /v1/projects HTTP/1.1\r\n${HOST}Authorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n`;
        const { text, closed } = await exchange(shared.stack.address, [head, ...Array(30).fill(' ')], { pause: 200, ms: 10_000 });
        assert.deepEqual(statuses(text), [408]);
        assert.ok(closed);
    });

    test('test_an_idle_connection_then_closed_without_a_word', async () => {
        const { text, closed } = await exchange(shared.stack.address, '', { ms: 15_000 });
        assert.equal(text, '');
        assert.ok(closed);
    });

    test('test_a_body_announced_too_large_then_413_before_it_is_sent', async () => {
        const head = `POST /v1/projects HTTP/1.1\r\n${HOST}Authorization: Bearer ${shared.stack.token()}\r\nContent-Length: 300000\r\n\r\n`;
        const { text, closed } = await exchange(shared.stack.address, head);
        assert.deepEqual(statuses(text), [413]);
        assert.ok(closed);
    });

    test('test_chunks_that_become_too_large_then_413', async () => {
        const chunk = `8000\r\n${' '.repeat(0x8000)}\r\n`;
        const head = `POST /v1/projects HTTP/1.1\r\n${HOST}Authorization: Bearer ${shared.stack.token()}\r\nContent-Type: application/json\r\n`
            + 'Transfer-Encoding: chunked\r\n\r\n';
        const { text } = await exchange(shared.stack.address, [head, ...Array(10).fill(chunk)], { pause: 5 });
        assert.deepEqual(statuses(text), [413]);
    });

    test('test_a_client_that_goes_away_in_the_middle_then_others_are_served', async () => {
        for (let i = 0; i < 50; i++)
            await exchange(shared.stack.address, `POST /v1/projects HTTP/1.1\r\n${HOST}Authorization: Bearer ${shared.stack.token()}\r\n`
                + 'Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"name": "x"}', { ms: 1 });
        assert.equal((await send(`${shared.stack.url}/healthz`)).status, 200);
    });
});

bodies(shared);
poison(shared);
