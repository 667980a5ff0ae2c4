// URLs of webhooks: what is private in any spelling is refused before anything is kept. Two others judge the spellings, too: Node's own parser
// of URLs (WHATWG), which makes an address of each, and ipaddr.js, which says what kind of address that is.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import ipaddr from 'ipaddr.js';

import { expectCreated, expectProblem } from './api/expect.mjs';
import { startStack } from '../lib/stack.mjs';

const PRIVATE = ['127.0.0.1', '10.0.0.1', '169.254.169.254', '192.168.1.1', '172.16.0.1', '100.64.0.1', '0.0.0.0', '224.0.0.1', '240.0.0.1', '198.18.0.1'];
const PUBLIC = ['9.9.9.9', '151.101.1.195'];

const numberOf = (octets) => octets.reduce((sum, octet) => sum * 256 + octet, 0);
const hex = (number, digits = 0) => number.toString(16).padStart(digits, '0');
const octal = (number) => `0${number.toString(8)}`;
const pair = ([a, b, c, d]) => `${hex(a * 256 + b)}:${hex(c * 256 + d)}`;
const circled = (text) => text.replace(/\d/g, (digit) => (digit === '0' ? '\u24ea' : String.fromCharCode(0x2460 + Number(digit) - 1)));
const wide = (text) => text.replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit)));

const FORMS = {
    dotted: (octets) => octets.join('.'),
    decimal: (octets) => `${numberOf(octets)}`,
    hexadecimal: (octets) => `0x${hex(numberOf(octets))}`,
    hexadecimal_large: (octets) => `0X${hex(numberOf(octets), 12).toUpperCase()}`,
    octal: (octets) => octal(numberOf(octets)),
    hexadecimal_octets: (octets) => octets.map((octet) => `0x${hex(octet)}`).join('.'),
    octal_octets: (octets) => octets.map(octal).join('.'),
    mixed: ([a, b, c, d]) => `0x${hex(a)}.${octal(b)}.${c}.${d}`,
    two_parts: ([a, ...rest]) => `${a}.${numberOf(rest)}`,
    three_parts: ([a, b, ...rest]) => `${a}.${b}.${numberOf(rest)}`,
    a_dot_behind: (octets) => `${octets.join('.')}.`,
    percent: (octets) => octets.join('.').replace(/\d/g, (digit) => `%3${digit}`),
    percent_dots: (octets) => octets.join('%2E'),
    circled: (octets) => circled(octets.join('.')),
    wide: (octets) => wide(octets.join('.')),
    wide_in_percent: (octets) => encodeURIComponent(wide(octets.join('.'))),
    other_dots: (octets) => octets.join('\u3002'),
    mapped: (octets) => `[::ffff:${octets.join('.')}]`,
    mapped_in_hexadecimal: (octets) => `[0:0:0:0:0:FFFF:${pair(octets)}]`,
    nat64: (octets) => `[64:ff9b::${pair(octets)}]`,
    six_to_four: (octets) => `[2002:${pair(octets)}::1]`,
};
const IPV6 = ['[::1]', '[::]', '[0:0:0:0:0:0:0:1]', '[fe80::1]', '[fec0::1]', '[fc00::1]', '[fd00:ec2::254]', '[FD12:3456::1]', '[ff02::1]', '[2001:db8::1]', '[2001::1]', '[3fff::1]'];
const NAMES = ['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'a.b.localhost.', 'loc%61lhost', 'localhost.localdomain', 'ip6-localhost'];
// URLs that name a user, that Node cannot read, or that lead elsewhere than over HTTPS.
const WHOLE = ['https://user@example.com/', 'https://user:word@example.com/', 'https://example.com:99999/', 'https://[::1/', 'https://1.2.3.4.5/', 'https://256.256.256.256/',
    'http://example.com/', 'ftp://example.com/', 'file:///etc/passwd', 'gopher://127.0.0.1/', 'javascript:alert(1)', 'https:///', 'https://[fe80::1%25lo]/', 'example.com'];

// What kind of address others see in the host: 'unicast' is public.
function kindOf(host) {
    const { hostname } = new URL(`https://${host}/`);
    const address = ipaddr.process(hostname.replace(/[[\]]/g, '').replace(/\.$/, ''));
    if (address.kind() !== 'ipv6' || address.range() !== 'rfc6052') return address.range();
    return ipaddr.fromByteArray(address.toByteArray().slice(12)).range();
}

const spellings = (addresses) => addresses.flatMap((address) => Object.entries(FORMS).map(([form, spell]) => [form, spell(address.split('.').map(Number))]));

let stack, api;
const post = (url) => api.post('/v1/webhook-endpoints', { url, event_types: ['*'] });
const expectRefused = async (url) => {
    const { body } = expectProblem(await post(url), 422, 'validation');
    assert.deepEqual([...new Set(body.errors.map(({ pointer }) => pointer))], ['/url'], url);
};

before(async () => {
    stack = await startStack('webhook_urls', { pools: ['webhooks'] });
    api = stack.client({ role: 'company_admin' });
});
after(() => stack?.stop());

describe('URLs of webhooks', () => {
    test('test_url_when_it_is_a_private_address_in_any_of_120_spellings_then_422_at_url_as_others_judge', async () => {
        const all = [...spellings(PRIVATE).map(([, host]) => host), ...IPV6];
        assert.ok(all.length >= 120);
        for (const host of all) {
            assert.notEqual(kindOf(host), 'unicast', host);
            await expectRefused(`https://${host}/hooks`);
        }
        for (const name of NAMES) await expectRefused(`https://${name}/hooks`);
        for (const url of WHOLE) await expectRefused(url);
        assert.equal((await stack.query('SELECT count(*) FROM webhook_endpoint'))[0].count, 0);
    });

    test('test_url_when_it_is_public_in_any_spelling_of_ascii_then_kept_as_it_was_given', async () => {
        const hosts = [...spellings(PUBLIC).filter(([form]) => form !== 'six_to_four').map(([, host]) => host), '[2a00:1450:4001:80b::200e]', 'example.com', 'example.com.', 'xn--bro-hoa.example'];
        for (const host of hosts) {
            const url = `https://${host}/hooks`;
            if (/[^.]\d|\d\]/.test(host)) assert.equal(kindOf(host), 'unicast', host);
            // A URI is of ASCII (RFC 3986), and a host is no percent-encoded text of another alphabet.
            if (/[^!-~]|%EF/.test(host)) await expectRefused(url);
            else assert.equal(expectCreated(await post(url), '/v1/webhook-endpoints').url, url);
        }
    });

    test('test_url_when_an_update_makes_it_private_then_422_and_it_stays', async () => {
        const made = expectCreated(await post('https://example.com/hooks'), '/v1/webhook-endpoints'), at = `/v1/webhook-endpoints/${made.id}`;
        expectProblem(await api.patch(at, { url: 'https://127.1/' }), 422, 'validation');
        assert.equal((await api.get(at)).body.url, made.url);
    });

    test('test_url_when_an_operators_schedule_has_it_then_422_in_its_body', async () => {
        const operator = stack.client({ role: 'super_admin' });
        const body = { cron: '@yearly', company: stack.company, type: 'webhook_endpoint.create', body: { url: 'https://0x7f.1/', event_types: ['no.such'] } };
        const answer = expectProblem(await operator.put('/v1/admin/schedules/hooks', body), 422, 'validation');
        assert.deepEqual(answer.body.errors.map(({ pointer }) => pointer).sort(), ['/body/event_types/0', '/body/url']);
    });

    test('test_event_types_when_one_is_unknown_then_422_with_its_place', async () => {
        const types = ['*', 'task.*', 'task.created', 'task.create', 'nothing.*', 'task', 'task.created.', '*.created', 'export.completed'];
        const { body } = expectProblem(await api.post('/v1/webhook-endpoints', { url: 'https://example.com/', event_types: types }), 422, 'validation');
        assert.deepEqual(body.errors.map(({ pointer }) => pointer).sort(), [3, 4, 5, 6, 7].map((i) => `/event_types/${i}`));
    });
});
