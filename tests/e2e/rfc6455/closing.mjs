import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CLOSE, PING, Peer, TEXT, closeFrame, fails, frame } from './peer.mjs';

export function closing(shared) {
    const echoed = async (octets, code) => {
        const peer = await Peer.open(shared.stack);
        await peer.send(octets);
        const goodbye = await peer.expectClose(code);
        return { peer, goodbye };
    };

    describe('7 closing', () => {
        test('test_case_7_1_1_when_closed_after_a_message_then_answered_and_closed', async () => {
            const peer = await Peer.open(shared.stack);
            const { id, octets } = peer.command();
            await peer.send([frame(TEXT, octets), closeFrame(1000)]);
            await peer.answers(id);
            await peer.expectClose(1000);
        });

        test('test_case_7_1_2_to_7_1_5_when_more_follows_the_close_then_it_is_not_looked_at', async () => {
            for (const more of [closeFrame(1001), frame(PING, 'late'), frame(TEXT, '{"id":1,"connect":{}}'), frame(CLOSE, 'x')]) {
                const { peer } = await echoed([closeFrame(1000), more], 1000);
                assert.deepEqual([peer.heard, peer.pongs], [[], []]);
            }
            await echoed([frame(TEXT, 'fragment 1', { fin: false }), closeFrame(1000)], 1000);
        });

        test('test_case_7_1_6_when_a_large_message_a_close_and_a_ping_then_closed', async () => {
            const peer = await Peer.open(shared.stack);
            const { id, octets } = peer.command('x'.repeat(256 * 1024));
            await peer.send([frame(TEXT, octets), closeFrame(1000), frame(PING)]);
            await peer.answers(id);
            await peer.expectClose(1000);
        });

        test('test_case_7_3_1_when_a_close_has_no_payload_then_echoed_without', async () => {
            await echoed(frame(CLOSE), 1005);
        });
        test('test_case_7_3_2_when_a_close_has_one_octet_then_1002', async () => {
            await fails(shared.stack, frame(CLOSE, 'a'), 1002);
        });
        test('test_case_7_3_3_to_7_3_5_when_a_close_has_a_code_and_a_reason_up_to_123_octets_then_echoed', async () => {
            for (const reason of ['', 'Hello World!', '*'.repeat(123)]) await echoed(closeFrame(1000, reason), 1000);
        });
        test('test_case_7_3_6_when_a_close_is_longer_than_125_octets_then_1002', async () => {
            await fails(shared.stack, closeFrame(1000, '*'.repeat(124)), 1002);
        });

        test('test_case_7_5_1_when_the_reason_is_not_utf8_then_1007', async () => {
            await fails(shared.stack, closeFrame(1000, Buffer.from('cebae1bdb9cf83cebcceb5eda080656469746564', 'hex')), 1007);
        });

        for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
            test(`test_case_7_7_when_closed_with_${code}_then_echoed`, async () => {
                await echoed(closeFrame(code), code);
            });

        for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999])
            test(`test_case_7_9_when_closed_with_${code}_then_1002`, async () => {
                await fails(shared.stack, closeFrame(code), 1002);
            });

        for (const code of [5000, 65535])
            test(`test_case_7_13_when_closed_with_${code}_then_1002`, async () => {
                await fails(shared.stack, closeFrame(code), 1002);
            });
    });
}
