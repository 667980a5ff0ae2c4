// Systems that post webhooks: how each signs, and what software of others says of a signature.
import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';

import { sign as signGithub, verify as verifyGithub } from '@octokit/webhooks-methods';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';

const require = createRequire(import.meta.url);
const { isValidSlackRequest } = require('@slack/bolt/dist/receivers/verify-request.js');
require('@shopify/shopify-api/adapters/node');
const { LogSeverity, shopifyApi, ApiVersion } = require('@shopify/shopify-api');

const stripe = new Stripe('sk_test_none');
const hmac = (hash, key, text, encoding) => createHmac(hash, key).update(text).digest(encoding);
const holds = (check) => {
    try {
        return check() !== false;
    } catch {
        return false;
    }
};
const nowS = () => Math.floor(Date.now() / 1000);

// Of Standard Webhooks, under the names of its headers.
const standard = (prefix, Webhook) => ({
    type: 'standard',
    secret: `whsec_${Buffer.from('twenty-four octets a key').toString('base64')}`,
    sign: (secret, body, { time = nowS(), id = 'msg_1' } = {}) => ({
        [`${prefix}-id`]: id,
        [`${prefix}-timestamp`]: String(time),
        [`${prefix}-signature`]: new Webhook(secret).sign(id, new Date(time * 1000), body),
    }),
    isRight: (secret, body, headers) => holds(() => new Webhook(secret).verify(body, headers)),
});

export const senders = {
    stripe: {
        type: 'stripe',
        secret: 'whsec_stripe_secret',
        sign: (secret, body, { time = nowS() } = {}) => ({
            'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: time }),
        }),
        isRight: (secret, body, headers) => holds(() => stripe.webhooks.constructEvent(body, headers['stripe-signature'], secret)),
    },
    github: {
        type: 'github',
        secret: 'It\'s a Secret to Everybody',
        sign: async (secret, body, { id = 'delivery-1', event = 'ping' } = {}) => ({
            'x-hub-signature-256': await signGithub(secret, body), 'x-github-delivery': id, 'x-github-event': event,
        }),
        isRight: (secret, body, headers) => verifyGithub(secret, body, headers['x-hub-signature-256']),
    },
    slack: {
        type: 'slack',
        secret: '8f742231b10e8888abcd99yyyzzz85a5',
        sign: (secret, body, { time = nowS() } = {}) => ({
            'x-slack-request-timestamp': String(time),
            'x-slack-signature': `v0=${hmac('sha256', secret, `v0:${time}:${body}`, 'hex')}`,
        }),
        isRight: (secret, body, headers) => isValidSlackRequest({
            signingSecret: secret, body,
            headers: { 'x-slack-signature': headers['x-slack-signature'], 'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']) },
        }),
    },
    shopify: {
        type: 'shopify',
        secret: 'shopify secret',
        sign: (secret, body, { id = 'webhook-1', event = 'orders/create' } = {}) => ({
            'x-shopify-hmac-sha256': hmac('sha256', secret, body, 'base64'), 'x-shopify-webhook-id': id, 'x-shopify-topic': event,
            'x-shopify-shop-domain': 'site.myshopify.com', 'x-shopify-api-version': '2024-04',
        }),
        isRight: async (secret, body, headers) => {
            const api = shopifyApi({
                apiKey: 'key', apiSecretKey: secret, hostName: 'site.example', apiVersion: ApiVersion.April24, isEmbeddedApp: false,
                logger: { level: LogSeverity.Error, log: () => {} },
            });
            return (await api.webhooks.validate({ rawBody: body, rawRequest: { method: 'POST', url: '/', headers } })).valid;
        },
    },
    standard: standard('webhook', StandardWebhook),
    svix: standard('svix', SvixWebhook),
    hmac: {
        type: 'hmac',
        secret: 'a secret of our own',
        fields: { algorithm: 'sha512', encoding: 'base64', signature_header: 'X-Our-Signature', signature_prefix: 'sig ', timestamp_header: 'X-Our-Time', id_pointer: '/id' },
        sign: (secret, body, { time = nowS() } = {}) => ({
            'x-our-time': String(time), 'x-our-signature': `sig ${hmac('sha512', secret, `${time}.${body}`, 'base64')}`,
        }),
        isRight: (secret, body, headers) => headers['x-our-signature'].slice(4) === hmac('sha512', secret, `${headers['x-our-time']}.${body}`, 'base64'),
    },
    basic: {
        type: 'basic',
        secret: 'somebody:pass word',
        sign: (secret) => ({ authorization: `Basic ${Buffer.from(secret).toString('base64')}` }),
        isRight: (secret, body, headers) => Buffer.from(headers.authorization.slice(6), 'base64').toString() === secret,
    },
    bearer: {
        type: 'bearer',
        secret: 'a-token-of-theirs',
        sign: (secret) => ({ authorization: `Bearer ${secret}` }),
        isRight: (secret, body, headers) => headers.authorization === `Bearer ${secret}`,
    },
};
