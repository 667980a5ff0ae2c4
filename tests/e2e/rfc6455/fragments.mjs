import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CONTINUATION, PING, PONG, Peer, TEXT, fails, frame } from './peer.mjs';

const first = (payload) => frame(TEXT, payload, { fin: false });
const middle = (payload) => frame(CONTINUATION, payload, { fin: false });
const last = (payload) => frame(CONTINUATION, payload);

export function fragments(shared) {
    const answered = async (make, { chop, pongs = [] } = {}) => {
        const peer = await Peer.open(shared.stack);
        const { id, octets } = peer.command('in fragments');
        await peer.send(make(octets.subarray(0, 20), octets.subarray(20, 60), octets.subarray(60)), chop);
        await peer.answers(id);
        assert.deepEqual(await peer.ponged(pongs.length), pongs);
        await peer.leave();
    };

    describe('5 fragmentation', () => {
        for (const [number, opcode] of [['5_1', PING], ['5_2', PONG]])
            test(`test_case_${number}_when_a_control_frame_is_in_fragments_then_1002`, async () => {
                await fails(shared.stack, [frame(opcode, 'one', { fin: false }), last('two')], 1002);
            });

        for (const [number, chop] of [['5_3'], ['5_4'], ['5_5', 1]])
            test(`test_case_${number}_when_text_is_in_fragments${chop ? '_octet_by_octet' : ''}_then_answered`, async () => {
                await answered((a, b, c) => [first(a), middle(b), last(c)], { chop });
            });

        for (const [number, chop] of [['5_6'], ['5_7'], ['5_8', 1]])
            test(`test_case_${number}_when_a_ping_is_between_fragments${chop ? '_octet_by_octet' : ''}_then_ponged_and_answered`, async () => {
                await answered((a, b, c) => [first(a), frame(PING, 'between'), middle(b), last(c)], { chop, pongs: ['between'] });
            });

        for (const [number, make, chop] of [
            ['5_9', (text) => [last(text), frame(TEXT, text)]],
            ['5_10', (text) => [last(text), frame(TEXT, text)], 3],
            ['5_11', (text) => [last(text), frame(TEXT, text)], 1],
            ['5_12', (text) => [middle(text), frame(TEXT, text)]],
            ['5_13', (text) => [middle(text), frame(TEXT, text)], 3],
            ['5_14', (text) => [middle(text), frame(TEXT, text)], 1],
            ['5_15', (text) => [first(text), last(text), middle(text), frame(TEXT, text)]],
            ['5_16', (text) => [middle(text), first(text), last(text)]],
            ['5_17', (text) => [last(text), first(text), last(text)]],
            ['5_18', (text) => [first(text), frame(TEXT, text)]],
        ])
            test(`test_case_${number}_when_fragments_do_not_follow_each_other_then_closed`, async () => {
                const peer = await Peer.open(shared.stack);
                await peer.send(make(Buffer.from('\n')), chop); // an empty line is no command
                await peer.expectClose(1002);
                assert.deepEqual(peer.heard, []);
            });

        for (const [number, chop] of [['5_19'], ['5_20', 1]])
            test(`test_case_${number}_when_five_fragments_with_pings_between_then_ponged_at_once_and_answered`, async () => {
                const peer = await Peer.open(shared.stack);
                const { id, octets } = peer.command('in five');
                await peer.send([first(octets.subarray(0, 9)), middle(octets.subarray(9, 20)), frame(PING, 'one')], chop);
                assert.deepEqual(await peer.ponged(1), ['one']);
                await peer.send([middle(octets.subarray(20, 33)), middle(octets.subarray(33, 50)), frame(PING, 'two'), last(octets.subarray(50))], chop);
                await peer.answers(id);
                assert.deepEqual(peer.pongs, ['one', 'two']);
                await peer.leave();
            });
    });
}
