import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { BINARY, PING, PONG, Peer, TEXT, fails, frame } from './peer.mjs';

// Of a command's payload, so that the whole message has that many octets.
const padded = (peer, length) => {
    const empty = peer.command();
    peer.id -= 1;
    return peer.command('x'.repeat(length - empty.octets.length));
};

export function framing(shared) {
    describe('1 framing', () => {
        // 1.1.1 to 1.1.8 are 0 to 65,536 octets; the shortest command is longer than 125.
        for (const [number, length, chop] of [['1_1_4', 400], ['1_1_5', 512], ['1_1_6', 65535], ['1_1_7', 65536], ['1_1_8', 65536, 997]])
            test(`test_case_${number}_when_text_of_${length}_octets_then_answered`, async () => {
                const peer = await Peer.open(shared.stack);
                const { id, octets } = padded(peer, length);
                assert.equal(octets.length, length);
                await peer.send(frame(TEXT, octets), chop);
                await peer.answers(id);
                await peer.leave();
            });

        test('test_case_1_1_1_when_an_empty_text_then_refused_by_the_protocol_above_not_by_the_framing', async () => {
            await fails(shared.stack, frame(TEXT), 3501);
        });

        for (const [i, length] of [0, 125, 126, 127, 128, 65535, 65536].entries())
            test(`test_case_1_2_${i + 1}_when_binary_of_${length}_octets_then_1003`, async () => {
                await fails(shared.stack, frame(BINARY, Buffer.alloc(length, 0xfe)), 1003);
            });
    });

    describe('2 pings and pongs', () => {
        const payloads = { '2_1': '', '2_2': 'Hello, world!', '2_3': Buffer.from([0, 255, 254, 253, 252, 251, 0, 255]), '2_4': 'x'.repeat(125) };
        for (const [number, payload] of Object.entries(payloads))
            test(`test_case_${number}_when_pinged_with_${payload.length}_octets_then_ponged_with_the_same`, async () => {
                const peer = await Peer.open(shared.stack);
                await peer.send(frame(PING, payload));
                assert.deepEqual(await peer.ponged(1), [String(payload)]);
                await peer.leave();
            });

        test('test_case_2_5_when_pinged_with_126_octets_then_1002', async () => {
            await fails(shared.stack, frame(PING, 'x'.repeat(126)), 1002);
        });

        test('test_case_2_6_when_pinged_with_125_octets_one_at_a_time_then_ponged', async () => {
            const peer = await Peer.open(shared.stack);
            await peer.send(frame(PING, 'x'.repeat(125)), 1);
            assert.deepEqual(await peer.ponged(1), ['x'.repeat(125)]);
            await peer.leave();
        });

        test('test_case_2_7_to_2_9_when_ponged_unasked_then_nothing_and_pings_are_answered', async () => {
            const peer = await Peer.open(shared.stack);
            await peer.send([frame(PONG), frame(PONG, 'unasked'), frame(PING, 'asked')]);
            assert.deepEqual(await peer.ponged(1), ['asked']);
            await peer.leave();
        });

        for (const [number, chop] of [['2_10'], ['2_11', 1]])
            test(`test_case_${number}_when_pinged_ten_times_then_ponged_in_order`, async () => {
                const peer = await Peer.open(shared.stack);
                const sent = Array.from({ length: 10 }, (_, i) => `payload-${i}`);
                await peer.send(sent.map((payload) => frame(PING, payload)), chop);
                assert.deepEqual(await peer.ponged(10), sent);
                await peer.leave();
            });
    });

    describe('3 reserved bits', () => {
        for (let rsv = 1; rsv <= 7; rsv++)
            for (const chop of [undefined, 1])
                test(`test_case_3_${rsv}_when_rsv_is_${rsv}${chop ? '_octet_by_octet' : ''}_then_1002_and_what_came_before_is_answered`, async () => {
                    const peer = await Peer.open(shared.stack);
                    const { id, octets } = peer.command('before');
                    await peer.send([frame(TEXT, octets), frame(rsv === 4 ? PING : TEXT, '{"id":9}', { rsv }), frame(PING)], chop);
                    await peer.answers(id);
                    await peer.expectClose(1002);
                    assert.deepEqual(peer.pongs, []);
                });
    });

    describe('4 opcodes', () => {
        for (const [group, first] of [['4_1', 3], ['4_2', 11]])
            for (let i = 0; i < 5; i++)
                for (const payload of ['', 'reserved opcode payload'])
                    test(`test_case_${group}_${i + 1}_when_opcode_${first + i}_with_${payload.length}_octets_then_1002`, async () => {
                        await fails(shared.stack, [frame(first + i, payload), frame(PING)], 1002);
                    });
    });
}
