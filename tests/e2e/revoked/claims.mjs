// Tokens as outsiders would make them: each is tried at every door, and is let in by all of them or by none.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Agent } from 'node:http';
import { before, describe, test } from 'node:test';

import { Speaker } from '../realtime/clients.mjs';
import { send } from '../../lib/http.mjs';
import { claimsOf, sign } from '../../lib/token.mjs';

const ISSUER = 'https://issuer.example', AUDIENCE = 'cortex';
const nowS = () => Math.floor(Date.now() / 1000);
const HEADER = { alg: 'HS256', typ: 'JWT' };

export function claims(shared) {
    describe('claims', () => {
        let gateway, user;
        const right = (others = {}) => ({ ...claimsOf({ company: shared.stack.company, user }), iss: ISSUER, aud: AUDIENCE, ...others });
        const tokenOf = (text, header = HEADER) => sign(text, shared.stack.secret, header);
        const text = (claims) => JSON.stringify(claims);

        before(async () => {
            user = randomUUID();
            gateway = await shared.stack.addGateway({ CORTEX_AUTH_ISSUER: ISSUER, CORTEX_AUTH_AUDIENCE: AUDIENCE, CORTEX_ADDRESS_FAILURES: '1000000' });
        });

        // What each door says: 'in', 'renew' (a new token is asked for) or 'out'.
        async function doors(token) {
            const headers = { authorization: `Bearer ${token}` };
            const agent = new Agent({ keepAlive: false });
            const said = [];
            for (const [method, path, body] of [['GET', '/v1/projects'], ['POST', '/v1/projects', { name: 'X' }], ['GET', '/v1/events'],
                ['GET', '/v1/operations'], ['GET', '/v1/admin/pools'], ['GET', '/v1/exports'], ['POST', '/v1/tickets', {}]]) {
                const extra = path === '/v1/events' ? { accept: 'application/json', prefer: 'wait=0' } : {};
                const { status, headers: answered } = await send(gateway.url + path, { method, body, agent, headers: { ...headers, ...extra } });
                assert.ok(status !== 401 || answered['www-authenticate'].startsWith('Bearer '), path);
                said.push([path, status === 401 ? 'out' : status < 500 && status !== 429 ? 'in' : status]);
            }
            const speaker = await Speaker.open(gateway);
            const answer = await Promise.race([speaker.ask({ id: 1, connect: { token } }).catch(() => speaker.closed), speaker.closed]);
            said.push(['connect', answer.connect ? 'in' : answer.code === 3500 || answer.error?.code === 109 ? 'out' : answer]);
            speaker.disconnect();
            const session = await Speaker.open(gateway);
            await session.ask({ id: 1, connect: { token: tokenOf(text(right())) } });
            const refreshed = await Promise.race([session.ask({ id: 2, refresh: { token } }).catch(() => session.closed), session.closed]);
            said.push(['refresh', refreshed.refresh ? 'in' : refreshed.code === 3500 || refreshed.error?.code === 109 ? 'out' : refreshed]);
            session.disconnect();
            return said;
        }

        const expectAll = async (token, wanted, what) => {
            const said = await doors(token);
            assert.deepEqual(said.filter(([, one]) => one !== wanted), [], what);
        };

        test('test_claims_when_right_in_any_form_that_the_rfc_allows_then_let_in_at_every_door', async () => {
            const good = {
                usual: [right()],
                audience_in_a_list: [right({ aud: ['x', AUDIENCE] })],
                fractions: [right({ exp: nowS() + 100.5, nbf: nowS() - 0.5, iat: nowS() - 1.25 })],
                skewed_clock: [right({ nbf: nowS() + 20, iat: nowS() + 20 })],
                just_expired: [right({ exp: nowS() - 10, iat: nowS() - 60 })],
                at_jwt: [right(), { alg: 'HS256', typ: 'at+jwt' }],
                media_type: [right(), { alg: 'HS256', typ: 'application/at+jwt' }],
                upper_case: [right(), { alg: 'HS256', typ: 'AT+JWT' }],
                no_type: [right(), { alg: 'HS256' }],
                members_that_we_do_not_know: [right({ jti: 'x', nested: { a: [1, null] } }), { ...HEADER, jku: 'https://x.example', x5c: [] }],
            };
            for (const [what, [claims, header]] of Object.entries(good)) await expectAll(tokenOf(text(claims), header), 'in', what);
        });

        test('test_claims_when_wrong_in_any_form_then_kept_out_at_every_door', async () => {
            const usual = text(right());
            const bad = {
                no_issuer: [text(right({ iss: undefined }))],
                another_issuer: [text(right({ iss: `${ISSUER}/` }))],
                issuer_in_a_list: [text(right({ iss: [ISSUER] }))],
                no_audience: [text(right({ aud: undefined }))],
                another_audience: [text(right({ aud: ['x'] }))],
                audience_in_an_object: [text(right({ aud: { [AUDIENCE]: AUDIENCE } }))],
                audience_in_a_list_of_lists: [text(right({ aud: [[AUDIENCE]] }))],
                expires_as_text: [text(right({ exp: `${nowS() + 100}` }))],
                expires_never: [text(right({ exp: undefined }))],
                expires_null: [text(right({ exp: null }))],
                expires_far_away: [text(right({ exp: 1e14 }))],
                expires_huge: [usual.replace(/"exp":\d+/, '"exp":1e999')],
                expires_huge_integer: [usual.replace(/"exp":\d+/, '"exp":99999999999999999999999')],
                expired: [text(right({ exp: nowS() - 60, iat: nowS() - 100 }))],
                not_yet: [text(right({ nbf: nowS() + 100 }))],
                not_yet_as_text: [text(right({ nbf: '0' }))],
                not_yet_as_list: [text(right({ nbf: [0] }))],
                made_in_the_future: [text(right({ iat: nowS() + 100 }))],
                made_as_text: [text(right({ iat: '0' }))],
                made_never: [text(right({ iat: -1 }))],
                twice: [usual.replace('{', '{"role":"operative",')],
                twice_escaped: [usual.replace('{', '{"\\u0072ole":"operative",')],
                role_as_list: [text(right({ role: ['company_admin'] }))],
                role_empty: [text(right({ role: '' }))],
                user_as_number: [text(right({ sub: 7 }))],
                company_with_more: [text(right({ company: `${shared.stack.company} ` }))],
                nul_in_a_role: [text(right({ role: 'company_admin\0' }))],
                nul_elsewhere: [text(right({ note: 'a\0b' }))],
                list: [`[${usual}]`],
                two_objects: [`${usual}{}`],
                critical: [usual, { ...HEADER, crit: ['exp'] }],
                critical_empty: [usual, { ...HEADER, crit: [] }],
                critical_null: [usual, { ...HEADER, crit: null }],
                type_of_another_use: [usual, { ...HEADER, typ: 'secevent+jwt' }],
                type_null: [usual, { ...HEADER, typ: null }],
                type_as_list: [usual, { ...HEADER, typ: ['JWT'] }],
                algorithm_none: [usual, { alg: 'none', typ: 'JWT' }],
                algorithm_in_lower_case: [usual, { alg: 'hs256' }],
                algorithm_as_list: [usual, { alg: ['HS256'] }],
                algorithm_twice: [usual, '{"alg":"HS256","alg":"none"}'],
            };
            for (const [what, [claims, header]] of Object.entries(bad)) await expectAll(tokenOf(claims, header), 'out', what);
            const [head, body, signature] = tokenOf(usual).split('.');
            for (const token of [`${head}.${body}.`, `${head}.${body}`, `${head}.${body}.${signature}=`, `${head}.${body}.${signature}.${signature}`,
                `${head}=.${body}.${signature}`, `.${body}.${signature}`]) await expectAll(token, 'out', token);
        });

        // Subscriptions do not expire, so such a token says nothing: it opens no door, and none closes.
        test('test_sub_refresh_when_it_brings_a_token_then_the_rights_of_the_connection_stay_what_they_are', async () => {
            const company = await shared.stack.addCompany('Sub refresh'), channel = `company:${shared.stack.company}`;
            const session = await Speaker.open(gateway);
            await session.ask({ id: 1, connect: { token: tokenOf(text(right())) } });
            assert.ok((await session.ask({ id: 2, subscribe: { channel } })).subscribe);
            for (const token of [tokenOf(text(right({ company }))), tokenOf(text(right({ role: 'super_admin', company }))), 'x', '', undefined]) {
                assert.deepEqual(await session.ask({ id: 3, sub_refresh: { channel, token } }), { id: 3, sub_refresh: {} });
                assert.equal((await session.ask({ id: 4, subscribe: { channel: `company:${company}` } })).error?.code, 103);
                const { rpc } = await session.ask({ id: 5, rpc: { method: 'GET /v1/admin/pools', data: {} } });
                assert.ok(!rpc || rpc.data.status === 403, JSON.stringify(rpc));
            }
            session.disconnect();
        });

        test('test_authorization_when_not_one_bearer_token_then_401', async () => {
            const token = tokenOf(text(right()));
            for (const authorization of [token, `Basic ${token}`, `Bearer ${token} ${token}`, 'Bearer', 'Bearer ', `Bearer "${token}"`, `Bearer ${token},`,
                [`Bearer ${token}`, `Bearer ${token}`], `Token ${token}`])
                assert.equal((await send(`${gateway.url}/v1/projects`, { headers: { authorization } })).status, 401, `${authorization}`);
            assert.equal((await send(`${gateway.url}/v1/projects`, { headers: { authorization: `bEARER  ${token}` } })).status, 200);
            assert.equal((await send(`${gateway.url}/v1/projects?access_token=${token}`)).status, 401);
        });
    });
}
