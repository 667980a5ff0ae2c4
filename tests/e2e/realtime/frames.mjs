import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { exchange } from '../../lib/raw.mjs';
import { Speaker } from './clients.mjs';

const OPEN = 'GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

// A client's frame as text of octets: `first` is FIN, RSV and opcode.
function frame(first, payload = '', { masked = true, length = payload.length } = {}) {
    const size = length < 126 ? [length] : length < 65536 ? [126, length >> 8, length & 255] : [127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((n) => (length >> n) & 255)];
    const mask = [1, 2, 3, 4];
    if (masked) size[0] |= 128;
    const octets = [...payload].map((c, i) => (masked ? c.charCodeAt(0) ^ mask[i % 4] : c.charCodeAt(0)));
    return String.fromCharCode(first, ...size, ...(masked ? mask : []), ...octets);
}

// The frames in what a server sent: [{ opcode, payload }]
function parse(text) {
    const frames = [];
    for (let at = text.indexOf('\r\n\r\n') + 4; at + 2 <= text.length; ) {
        const octet = (n) => text.charCodeAt(at + n);
        assert.equal(octet(0) & 0x70, 0, 'no reserved bits from us');
        assert.equal(octet(1) & 0x80, 0, 'a server does not mask');
        const short = octet(1);
        const head = short < 126 ? 2 : short === 126 ? 4 : 10;
        const length = short < 126 ? short : [...text.slice(at + 2, at + head)].reduce((sum, c) => sum * 256 + c.charCodeAt(0), 0);
        frames.push({ opcode: octet(0) & 15, payload: text.slice(at + head, at + head + length) });
        at += head + length;
    }
    return frames;
}

const codeOf = ({ payload }) => payload.charCodeAt(0) * 256 + payload.charCodeAt(1);
const CONNECT = (token) => JSON.stringify({ id: 1, connect: { token } });

export function frames(shared) {
    const send = async (pieces, options = { ms: 1000 }) => {
        const answer = await exchange(shared.stack.address, [OPEN, pieces].flat(), options);
        assert.match(answer.text, /^HTTP\/1\.1 101 /);
        return { ...answer, frames: parse(answer.text) };
    };
    const expectClose = async (pieces, code, what) => {
        const answer = await send(pieces);
        const last = answer.frames.at(-1);
        assert.equal(last?.opcode, 8, `${what}: a close frame`);
        assert.equal(codeOf(last), code, what);
        assert.ok(answer.closed, `${what}: the connection is closed`);
        return answer;
    };

    describe('frames', () => {
        const broken = {
            not_masked: [frame(0x81, 'hello', { masked: false }), 1002],
            reserved_bit_1: [frame(0xc1, 'hello'), 1002],
            reserved_bit_2: [frame(0xa1, 'hello'), 1002],
            reserved_bit_3: [frame(0x91, 'hello'), 1002],
            opcode_3: [frame(0x83, 'hello'), 1002],
            opcode_7: [frame(0x87, 'hello'), 1002],
            opcode_11: [frame(0x8b, 'hello'), 1002],
            opcode_15: [frame(0x8f, 'hello'), 1002],
            a_ping_in_fragments: [frame(0x09, 'hello'), 1002],
            a_ping_of_126: [frame(0x89, 'x'.repeat(126)), 1002],
            a_continuation_of_nothing: [frame(0x80, 'hello'), 1002],
            a_message_inside_a_message: [frame(0x01, 'one') + frame(0x81, 'two'), 1002],
            a_length_that_is_not_minimal: ['\x81\xfe\x00\x05\x01\x02\x03\x04hello', 1002],
            a_length_with_the_highest_bit: ['\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04hello', 1002],
            binary: [frame(0x82, '{}'), 1003],
            text_that_is_not_utf8: [frame(0x81, '\xff\xfe'), 1007],
            a_surrogate_across_fragments: [frame(0x01, '\xed\xa0') + frame(0x80, '\x80'), 1007],
            too_long: [frame(0x81, 'x'.repeat(4097)), 1009],
            too_long_in_fragments: [frame(0x01, 'x'.repeat(3000)) + frame(0x80, 'x'.repeat(3000)), 1009],
            too_long_by_its_head: [frame(0x81, 'x', { length: 0x7fffffff }), 1009],
            a_close_of_one_octet: [frame(0x88, 'x'), 1002],
            a_close_with_1005: [frame(0x88, '\x03\xed'), 1002],
            a_close_with_999: [frame(0x88, '\x03\xe7'), 1002],
            a_close_whose_reason_is_not_utf8: [frame(0x88, '\x03\xe8\xff'), 1007],
        };
        for (const [what, [octets, code]] of Object.entries(broken))
            test(`test_frame_when_${what}_then_closed_with_${code}`, async () => {
                await expectClose(octets, code, what);
            });

        test('test_frames_when_they_come_two_octets_at_a_time_then_as_if_at_once', async () => {
            const token = shared.stack.token();
            const octets = frame(0x01, CONNECT(token).slice(0, 20)) + frame(0x89, 'still there?') + frame(0x80, CONNECT(token).slice(20));
            const pieces = [OPEN, ...octets.match(/[^]{1,2}/g)];
            const answer = await exchange(shared.stack.address, pieces, { ms: 3000, pause: 1 });
            const heard = parse(answer.text);
            assert.deepEqual(heard[0], { opcode: 10, payload: 'still there?' });
            assert.equal(heard[1].opcode, 1);
            assert.equal(JSON.parse(heard[1].payload).connect.pong, true);
        });

        test('test_frames_when_right_behind_the_handshake_then_answered', async () => {
            const answer = await exchange(shared.stack.address, OPEN + frame(0x89, 'eager'), { ms: 300 });
            assert.deepEqual(parse(answer.text)[0], { opcode: 10, payload: 'eager' });
        });

        test('test_ping_when_sent_then_ponged_with_its_payload', async () => {
            const speaker = await Speaker.open(shared.stack);
            const pong = new Promise((resolve) => speaker.socket.once('pong', resolve));
            speaker.socket.ping('x'.repeat(125));
            assert.equal(String(await pong), 'x'.repeat(125));
            await speaker.close();
        });

        test('test_close_when_the_client_says_goodbye_then_its_code_comes_back', async () => {
            for (const [payload, echoed] of [['', ''], ['\x03\xe8', '\x03\xe8'], ['\x0f\xa0bye', '\x0f\xa0']]) {
                const { frames: heard, closed } = await send(frame(0x88, payload) + frame(0x81, 'not read any more'));
                assert.deepEqual(heard, [{ opcode: 8, payload: echoed }]);
                assert.ok(closed);
            }
        });

        test('test_message_when_of_the_largest_size_then_answered', async () => {
            const speaker = await Speaker.connected(shared.stack);
            const command = JSON.stringify({ id: 2, rpc: { method: 'echo', data: '' } });
            const answer = await speaker.ask(command.replace('""', `"${'x'.repeat(4096 - command.length)}"`));
            assert.deepEqual(answer, { id: 2, error: { code: 104, message: 'method not found' } });
            await speaker.close();
        });

        test('test_message_when_the_client_gives_up_in_the_middle_then_nothing_stays_behind', async () => {
            await Promise.all(Array.from({ length: 50 }, () => send(frame(0x01, 'half a mess').slice(0, -3), { ms: 100 })));
        });
    });
}
