// Bearer tokens, made here by node:crypto and not by the code under test.
import { createHmac, randomUUID } from 'node:crypto';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

// Any header and any claims, so that wrong ones can be made too.
export function sign(claims, secret, header = { alg: 'HS256', typ: 'JWT' }) {
    const text = `${encode(header)}.${encode(claims)}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

export function claimsOf({ company, role = 'company_admin', user = randomUUID(), ttl = 3600, ...others }) {
    const now = Math.floor(Date.now() / 1000);
    return { sub: user, company, role, iat: now, exp: now + ttl, ...others };
}

// Claims of a token that stays valid while the clock of who checks it is set `seconds` ahead or back.
export const validAround = (seconds) => ({ iat: Math.floor(Date.now() / 1000) - seconds, ttl: seconds });
