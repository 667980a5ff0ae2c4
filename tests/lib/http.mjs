// A small HTTP client on node:http with keep-alive: what comes back is what the server sent, nothing is hidden.
import { Agent, request } from 'node:http';

export function newAgent(connections = 64) {
    return new Agent({ keepAlive: true, maxSockets: connections });
}

const shared = newAgent();

// → { status, headers, text, body } where body is the parsed JSON or undefined. Rejects when the connection fails.
export function send(url, { method = 'GET', headers = {}, body, agent = shared, timeout = 60_000 } = {}) {
    const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const all = { ...headers };
    if (bytes !== undefined) {
        all['content-type'] ??= 'application/json';
        all['content-length'] = Buffer.byteLength(bytes);
    }
    return new Promise((resolve, reject) => {
        const sent = request(url, { method, headers: all, agent, timeout }, (answer) => {
            const parts = [];
            answer.on('data', (part) => parts.push(part));
            answer.on('error', reject);
            answer.on('end', () => {
                try {
                    resolve(result(answer, Buffer.concat(parts).toString()));
                } catch (error) {
                    reject(error);
                }
            });
        });
        sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeout} ms: ${method} ${url}`)));
        sent.on('error', reject);
        sent.end(bytes);
    });
}

function result(answer, text) {
    const type = answer.headers['content-type'] ?? '';
    const json = text !== '' && /[/+]json\b/.test(type);
    return { status: answer.statusCode, headers: answer.headers, text, body: json ? parse(text) : undefined };
}

function parse(text) {
    try {
        return JSON.parse(text);
    } catch (error) {
        throw new Error(`the server sent what is no JSON: ${text}`, { cause: error });
    }
}

// The API as one user sees it.
export function client(base, token, agent = shared) {
    const call = (method) => (path, options = {}) =>
        send(base + path, { agent, ...options, method, headers: { authorization: `Bearer ${token}`, ...options.headers } });
    const withBody = (method) => (path, body, headers = {}) => call(method)(path, { body, headers });
    return {
        token,
        get: (path, headers = {}) => call('GET')(path, { headers }),
        head: (path, headers = {}) => call('HEAD')(path, { headers }),
        delete: (path, headers = {}) => call('DELETE')(path, { headers }),
        post: withBody('POST'),
        put: withBody('PUT'),
        patch: withBody('PATCH'),
        call: (method, path, options) => call(method)(path, options),
    };
}
