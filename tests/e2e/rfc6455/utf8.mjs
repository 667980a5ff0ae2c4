import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CONTINUATION, PING, Peer, TEXT, fails, frame } from './peer.mjs';

const first = (payload) => frame(TEXT, payload, { fin: false });
const middle = (payload) => frame(CONTINUATION, payload, { fin: false });
const last = (payload) => frame(CONTINUATION, payload);
const octets = (hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex');

const KOSME = 'κόσμε';
// Groups 6.5 to 6.23 by what they are about; each as octets of one text.
const VALID = {
    '6_5': ['ce ba e1 bd b9 cf 83 ce bc ce b5'],
    '6_6': ['ce ba', 'ce ba e1 bd b9', 'ce ba e1 bd b9 cf 83'],
    '6_7': ['41', 'c2 80', 'e0 a0 80', 'f0 90 80 80'],
    '6_9': ['7f', 'df bf', 'ef bf bf', 'f4 8f bf bf'],
    '6_11': ['ed 9f bf', 'ee 80 80', 'ef bf bd', 'f4 8f bf bf'],
    '6_22': ['ef bf be', 'ef bf bf', 'f0 9f bf be', 'f3 bf bf bf', 'f4 8f bf be'],
    '6_23': ['ef bf b9', 'ef bf bd', 'ef bb bf'],
};
const INVALID = {
    '6_6': ['ce', 'ce ba e1', 'ce ba e1 bd', 'ce ba e1 bd b9 cf'],
    '6_8': ['f8 88 80 80 80', 'fc 84 80 80 80 80'],
    '6_10': ['f7 bf bf bf', 'fb bf bf bf bf', 'fd bf bf bf bf bf'],
    '6_11': ['f4 90 80 80'],
    '6_12': ['80', 'bf', '80 bf', '80 bf 80'],
    '6_13': ['c0 20 c1 20', 'e0 20', 'f0 20', 'f8 20', 'fc 20'],
    '6_14': ['df', 'ef bf', 'f7 bf bf', 'c0', 'e0 80', 'f0 80 80', 'fb bf bf bf'],
    '6_15': ['c0 e0 80 f0 80 80'],
    '6_16': ['fe', 'ff', 'fe fe ff ff'],
    '6_17': ['c0 af', 'e0 80 af', 'f0 80 80 af'],
    '6_18': ['c1 bf', 'e0 9f bf', 'f0 8f bf bf'],
    '6_19': ['c0 80', 'e0 80 80', 'f0 80 80 80'],
    '6_20': ['ed a0 80', 'ed ad bf', 'ed ae 80', 'ed af bf', 'ed b0 80', 'ed be 80', 'ed bf bf'],
    '6_21': ['ed a0 80 ed b0 80', 'ed af bf ed bf bf'],
};

export function utf8(shared) {
    describe('6 utf-8', () => {
        test('test_case_6_1_when_fragments_are_empty_then_as_if_they_were_not', async () => {
            for (const make of [(text) => [first(''), middle(''), last(text)], (text) => [first(text), middle(''), last('')],
                (text) => [first(''), middle(text), last('')]]) {
                const peer = await Peer.open(shared.stack);
                const command = peer.command(KOSME);
                await peer.send(make(command.octets));
                await peer.answers(command.id);
                await peer.leave();
            }
        });

        for (const [number, size] of [['6_2_1', Infinity], ['6_2_2', 100], ['6_2_3', 1], ['6_2_4', 2]])
            test(`test_case_${number}_when_valid_text_is_in_fragments_of_${size}_then_answered`, async () => {
                const peer = await Peer.open(shared.stack);
                const command = peer.command(`Hello-µ@ßöäüàá-UTF-8!! ${KOSME} \u{10ffff}`);
                const frames = [];
                for (let at = 0; at < command.octets.length; at += size)
                    frames.push(frame(at === 0 ? TEXT : CONTINUATION, command.octets.subarray(at, at + size), { fin: at + size >= command.octets.length }));
                await peer.send(frames);
                await peer.answers(command.id);
                await peer.leave();
            });

        test('test_case_6_3_when_text_is_invalid_whole_and_octet_by_octet_then_1007', async () => {
            const text = octets('ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80 65 64 69 74 65 64');
            await fails(shared.stack, frame(TEXT, text), 1007);
            await fails(shared.stack, [...text].map((octet, i) => frame(i === 0 ? TEXT : CONTINUATION, Buffer.from([octet]), { fin: i === text.length - 1 })), 1007);
        });

        // What is sent is wrong already: the rest of the message never comes.
        test('test_case_6_4_1_when_a_fragment_is_invalid_then_1007_before_the_next', async () => {
            await fails(shared.stack, [first(octets('ce ba e1 bd b9 cf 83 ce bc ce b5')), middle(octets('f4 90 80 80'))], 1007);
        });
        test('test_case_6_4_2_when_a_fragment_makes_it_invalid_by_its_first_octets_then_1007_before_the_next', async () => {
            await fails(shared.stack, [first(octets('ce ba e1 bd b9 cf 83 ce bc ce b5 f4')), middle(octets('90'))], 1007);
        });
        test('test_case_6_4_3_when_invalid_in_the_middle_of_a_frame_then_1007_before_its_end', async () => {
            const whole = frame(TEXT, octets('ce ba e1 bd b9 cf 83 ce bc ce b5 f4 90 80 80 65 64 69 74 65 64'));
            await fails(shared.stack, whole.subarray(0, 6 + 15), 1007);
        });
        test('test_case_6_4_4_when_invalid_by_its_last_octet_so_far_then_1007_before_the_frame_s_end', async () => {
            const whole = frame(TEXT, octets('ce ba e1 bd b9 cf 83 ce bc ce b5 f4 90 80 80 65 64 69 74 65 64'));
            await fails(shared.stack, whole.subarray(0, 6 + 13), 1007, 1);
        });

        for (const [group, texts] of Object.entries(VALID))
            test(`test_case_${group}_when_text_is_valid_then_answered`, async () => {
                const peer = await Peer.open(shared.stack);
                for (const text of texts) {
                    const { id, octets: sent } = peer.command(octets(text).toString());
                    assert.ok(sent.includes(octets(text)) || text === '7f');
                    await peer.send(frame(TEXT, sent));
                    await peer.answers(id);
                }
                await peer.leave();
            });

        for (const [group, texts] of Object.entries(INVALID))
            test(`test_case_${group}_when_text_is_invalid_then_1007`, async () => {
                for (const text of texts) {
                    await fails(shared.stack, frame(TEXT, octets(text)), 1007);
                    await fails(shared.stack, frame(TEXT, octets(text)), 1007, 1);
                }
            });

        test('test_case_6_4_when_a_sequence_is_cut_by_a_fragment_then_waited_for', async () => {
            const peer = await Peer.open(shared.stack);
            await peer.send([first(octets('f4')), frame(PING, 'patient')]);
            assert.deepEqual(await peer.ponged(1), ['patient']);
            await peer.send(last(octets('8f bf')));
            await peer.expectClose(1007);
        });
    });
}
