// JSON bodies that are not what they should be: 400 for what cannot be parsed, 422 for what breaks the schema, and no row.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

const nested = (depth) => `{"name":${'['.repeat(depth)}${']'.repeat(depth)}}`;

const unparsable = {
    nothing: '',
    white_space: '   ',
    half_an_object: '{"name": "x"',
    two_values: '{"name": "x"}{}',
    a_trailing_comma: '{"name": "x",}',
    single_quotes: "{'name': 'x'}",
    a_comment: '{"name": "x" /* y */}',
    an_unquoted_name: '{name: "x"}',
    not_a_number: '{"name": "x", "budget": NaN}',
    a_leading_zero: '{"name": "x", "budget": 01}',
    duplicate_keys: '{"name": "x", "name": "y"}',
    duplicate_keys_one_escaped: '{"name": "x", "\\u006eame": "y"}',
    a_control_character: '{"name": "a\nb"}',
    a_bad_escape: '{"name": "\\x41"}',
    a_lone_high_surrogate: '{"name": "\\ud800"}',
    a_lone_low_surrogate: '{"name": "\\udc00x"}',
    too_deep: nested(40),
    far_too_deep: nested(50_000),
    invalid_utf8: Buffer.from('{"name": "\xff"}', 'latin1'),
    overlong_utf8: Buffer.from('{"name": "\xc0\xaf"}', 'latin1'),
    a_surrogate_in_utf8: Buffer.from('{"name": "\xed\xa0\x80"}', 'latin1'),
    half_a_character: Buffer.from('{"name": "\xe2\x82"}', 'latin1'),
    a_byte_order_mark: '\ufeff{"name": "x"}',
    utf16: Buffer.from('{"name": "x"}', 'utf16le'),
    a_huge_exponent: '{"name": "x", "budget": 1e99999}',
};

const unfitting = {
    a_list: '[]',
    null: 'null',
    text: '"x"',
    a_number: '1',
    an_object_where_text_is_wanted: '{"name": {}}',
    a_number_where_text_is_wanted: '{"name": 1}',
    text_where_a_number_is_wanted: '{"name": "x", "budget": "1"}',
    a_name_that_is_too_long: JSON.stringify({ name: 'x'.repeat(201) }),
    a_key_of_a_thousand_letters: JSON.stringify({ name: 'x', ['k'.repeat(1000)]: 1 }),
    a_nul: '{"name": "a\\u0000b"}',
    a_prototype: '{"name": "x", "__proto__": {"a": 1}}',
    ten_thousand_unknown_keys: JSON.stringify({ name: 'x', ...Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, 1])) }),
};

export function bodies(shared) {
    const post = async (body) => shared.stack.client().post('/v1/projects', body);

    describe('bodies', () => {
        for (const [what, body] of Object.entries(unparsable)) {
            test(`test_body_with_${what}_then_400`, async () => {
                const answer = await post(body);
                assert.equal(answer.status, 400, answer.text.slice(0, 300));
                assert.equal(answer.body.type, '/problems/bad-request');
            });
        }

        for (const [what, body] of Object.entries(unfitting)) {
            test(`test_body_that_is_${what}_then_422_with_pointers`, async () => {
                const answer = await post(body);
                assert.equal(answer.status, 422, answer.text.slice(0, 300));
                assert.ok(answer.body.errors.length > 0);
                for (const error of answer.body.errors) assert.match(error.pointer, /^(\/.*)?$/s);
            });
        }

        test('test_body_that_is_too_large_then_413', async () => {
            assert.equal((await post(JSON.stringify({ name: 'x', description: 'y'.repeat(300_000) }))).status, 413);
        });

        test('test_letters_of_every_plane_then_kept_as_they_are', async () => {
            const name = 'Brücke 桥 🏗️ \u{10FFFF} "quoted" \\ / \u007f';
            const answer = await post({ name });
            assert.equal(answer.status, 201, answer.text);
            assert.equal(answer.body.name, name);
        });
    });
}
