import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import { send } from '../../lib/http.mjs';
import { claimsOf, sign } from '../../lib/token.mjs';
import { expectProblem } from './expect.mjs';

// Every one of these must be refused in the same way.
function badTokens(stack) {
    const claims = claimsOf({ company: stack.company });
    const good = stack.token();
    const [head, body, signature] = good.split('.');
    const without = (name) => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
    const now = Math.floor(Date.now() / 1000);
    const flipped = Buffer.from(signature, 'base64url');
    flipped[0] ^= 1;
    return {
        'signed with another key': sign(claims, randomBytes(32).toString('hex')),
        'alg none': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
        'alg none with a signature': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.${signature}`,
        'an algorithm that we do not speak': sign(claims, stack.secret, { alg: 'HS512', typ: 'JWT' }),
        'a key of the other kind': sign(claims, stack.secret, { alg: 'EdDSA', typ: 'JWT' }),
        'a critical header': sign(claims, stack.secret, { alg: 'HS256', crit: ['exp'] }),
        'expired': sign({ ...claims, exp: now - 3600 }, stack.secret),
        'not yet valid': sign({ ...claims, nbf: now + 3600 }, stack.secret),
        'no exp': sign(without('exp'), stack.secret),
        'exp that is text': sign({ ...claims, exp: String(claims.exp) }, stack.secret),
        'no company': sign(without('company'), stack.secret),
        'a company that is no UUID': sign({ ...claims, company: "' OR 1=1" }, stack.secret),
        'no subject': sign(without('sub'), stack.secret),
        'no role': sign(without('role'), stack.secret),
        'a changed body': `${head}.${Buffer.from(JSON.stringify({ ...claims, role: 'super_admin' })).toString('base64url')}.${signature}`,
        'a changed signature': `${head}.${body}.${flipped.toString('base64url')}`,
        'half a signature': `${head}.${body}.${signature.slice(0, 20)}`,
        'two parts': `${head}.${body}`,
        'four parts': `${good}.x`,
        'padding': `${good}=`,
        'nothing': '',
        'rubbish': '....',
        'a body that is no JSON': sign('hello', stack.secret),
        'a body that is a list': sign([], stack.secret),
    };
}

export function tokens(shared) {
    describe('tokens', () => {
        test('test_bad_token_then_401_with_a_challenge', async () => {
            const { stack } = shared;
            for (const [what, token] of Object.entries(badTokens(stack))) {
                const answer = await send(`${stack.url}/v1/projects`, { headers: { authorization: `Bearer ${token}` } });
                assert.equal(answer.status, 401, `${what}: ${answer.status} ${answer.text}`);
                expectProblem(answer, 401, 'unauthenticated');
                assert.match(answer.headers['www-authenticate'], /^Bearer /, what);
            }
        });

        test('test_no_token_or_another_scheme_then_401_on_every_route_of_v1', async () => {
            const { stack } = shared;
            for (const path of ['/v1/projects', '/v1/projects/00000000-0000-7000-8000-000000000001', '/v1/operations/00000000-0000-7000-8000-000000000001']) {
                for (const headers of [{}, { authorization: 'Basic dXNlcjpwYXNz' }, { authorization: stack.token() }])
                    expectProblem(await send(stack.url + path, { headers }), 401, 'unauthenticated');
            }
        });

        test('test_good_token_when_the_scheme_is_written_in_capitals_then_200', async () => {
            const { stack } = shared;
            const answer = await send(`${stack.url}/v1/projects`, { headers: { authorization: `BEARER ${stack.token()}` } });
            assert.equal(answer.status, 200);
        });
    });
}
