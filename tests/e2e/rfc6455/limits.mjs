import { describe, test } from 'node:test';

import { BINARY, CONTINUATION, Peer, TEXT, fails, frame } from './peer.mjs';

const MAX = 1024 * 1024; // CORTEX_WS_MAX_MESSAGE; the suite goes to 16 MB against peers without a limit

export function limits(shared) {
    const answered = async (size, { fragment = Infinity, chop } = {}) => {
        const peer = await Peer.open(shared.stack);
        const overhead = peer.command().octets.length;
        peer.id -= 1;
        const { id, octets } = peer.command('*'.repeat(size - overhead));
        const frames = [];
        for (let at = 0; at < octets.length; at += fragment)
            frames.push(frame(at === 0 ? TEXT : CONTINUATION, octets.subarray(at, at + fragment), { fin: at + fragment >= octets.length }));
        await peer.send(frames, chop);
        await peer.answers(id);
        await peer.lives();
        await peer.leave();
    };

    describe('9 limits', () => {
        for (const [i, size] of [64 * 1024, 256 * 1024, MAX].entries())
            test(`test_case_9_1_${i + 1}_when_text_of_${size}_octets_then_answered`, () => answered(size));

        test('test_case_9_1_4_when_text_is_one_octet_past_the_limit_then_1009', async () => {
            await fails(shared.stack, frame(TEXT, '*'.repeat(MAX + 1)), 1009);
        });

        test('test_case_9_2_when_a_large_binary_message_then_1003', async () => {
            await fails(shared.stack, frame(BINARY, Buffer.alloc(64 * 1024)), 1003);
        });

        for (const [i, fragment] of [64, 256, 1024, 4096, 16384, 65536, 262144].entries())
            test(`test_case_9_3_${i + 1}_when_in_fragments_of_${fragment}_then_answered`, () => answered(MAX, { fragment }));

        test('test_case_9_3_when_fragments_sum_up_past_the_limit_then_1009', async () => {
            const piece = '*'.repeat(MAX / 4);
            await fails(shared.stack, [frame(TEXT, piece, { fin: false }), ...Array.from({ length: 4 }, () => frame(CONTINUATION, piece, { fin: false }))], 1009);
        });

        for (const [i, chop] of [64, 128, 256, 512, 1024, 2048].entries())
            test(`test_case_9_5_${i + 1}_when_it_arrives_in_pieces_of_${chop}_then_answered`, () => answered(256 * 1024, { chop }));

        test('test_case_9_7_when_a_thousand_small_messages_then_each_is_answered', async () => {
            const peer = await Peer.open(shared.stack);
            const commands = Array.from({ length: 1000 }, () => peer.command('x'));
            await peer.send(commands.slice(0, 1).map(({ octets }) => frame(TEXT, octets)));
            await peer.answers(1);
            for (const { id, octets } of commands.slice(1, 100)) {
                await peer.send(frame(TEXT, octets));
                await peer.answers(id);
            }
            await peer.leave();
        });
    });

    describe('10 auto-fragmentation', () => {
        test('test_case_10_1_1_when_65536_octets_in_fragments_of_1300_then_answered', () => answered(65536, { fragment: 1300 }));
    });
}
