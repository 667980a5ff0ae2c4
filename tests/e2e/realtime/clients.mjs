// Clients for the tests of real time.
import { Centrifuge } from 'centrifuge';
import { Centrifuge as CentrifugeProtobuf } from 'centrifuge/build/protobuf';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';

export const endpoint = (stack) => `ws://${stack.address}/connection/websocket`;

// What a test that failed has left open.
const opened = new Set();
export const closeAll = () => opened.forEach((client) => client.disconnect());

// In the Protobuf form `data` is octets, which are JSON text here. With this the tests of the JSON build run on the other one.
const octets = (value) => (value === undefined ? undefined : new TextEncoder().encode(JSON.stringify(value)));
const value = (data) => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
function speakJson(codec) {
    const { encodeCommands, decodeReplies } = codec;
    const readAll = (publications) => publications?.forEach((publication) => { publication.data = value(publication.data); });
    codec.encodeCommands = (commands) =>
        encodeCommands.call(codec, commands.map((command) => (command.rpc ? { ...command, rpc: { ...command.rpc, data: octets(command.rpc.data) } } : command)));
    codec.decodeReplies = (bytes) => {
        const replies = decodeReplies.call(codec, bytes);
        for (const { rpc, push, subscribe, history, connect } of replies) {
            if (rpc) rpc.data = value(rpc.data);
            if (push?.pub) readAll([push.pub]);
            [subscribe, history, ...Object.values(connect?.subs ?? {})].forEach((result) => readAll(result?.publications));
        }
        return replies;
    };
}

// Where WebSockets do not get through: the first address answers no upgrade.
function fallback(transport) {
    return (stack) => [{ transport: 'websocket', endpoint: `ws://${stack.address}/readyz` }, { transport, endpoint: `${stack.url}/connection/${transport}` }];
}

// The published client's builds and ways to the server; each test runs with the one that is in use.
export const kinds = {
    json: { Build: Centrifuge, to: endpoint },
    protobuf: { Build: CentrifugeProtobuf, to: endpoint },
    'http_stream': { Build: Centrifuge, to: fallback('http_stream') },
    'http_stream in Protobuf': { Build: CentrifugeProtobuf, to: fallback('http_stream') },
    sse: { Build: Centrifuge, to: fallback('sse') },
};
let kind = kinds.json;
export const use = (name) => { kind = kinds[name]; };

// The published client. `options` are its own.
export function newCentrifuge(stack, options) {
    const fallbacks = { fetch, eventsource: EventSource, readableStream: ReadableStream, emulationEndpoint: `${stack.url}/emulation` };
    const settings = { websocket: WebSocket, ...fallbacks, minReconnectDelay: 20, maxReconnectDelay: 200, ...options };
    const client = new kind.Build(kind.to(stack), settings);
    if (kind.Build === CentrifugeProtobuf) speakJson(client._codec);
    opened.add(client);
    return client;
}

// As a network does. The transports are the client's own, and each has a `close`.
export const breakOff = ({ _transport: transport }) => transport.close();

// The protocol by hand, on the published `ws`: commands are said, replies and pushes are heard one by one, pings are answered.
export class Speaker {
    static async open(stack, { options = {}, protocols = [], answersPings = true } = {}) {
        const speaker = new Speaker(new WebSocket(endpoint(stack), protocols, options), answersPings);
        await new Promise((resolve, reject) => {
            speaker.socket.once('open', resolve);
            speaker.socket.once('error', reject);
        });
        return speaker;
    }

    // Opened and connected with a token for that company.
    static async connected(stack, who = {}, options = {}) {
        const speaker = await Speaker.open(stack, options);
        speaker.welcome = (await speaker.ask({ id: 1, connect: { token: stack.token(who) } })).connect;
        return speaker;
    }

    constructor(socket, answersPings) {
        opened.add(this);
        this.socket = socket;
        this.heard = []; // lines that nobody has taken yet
        this.waiting = [];
        this.pings = 0;
        socket.on('message', (data) => String(data).split('\n').forEach((line) => this.#hear(line, answersPings)));
        this.closed = new Promise((resolve) => socket.on('close', (code, reason) => resolve({ code, reason: String(reason) })));
        this.closed.then(() => this.waiting.splice(0).forEach(({ reject }) => reject(new Error('the socket was closed'))));
    }

    #hear(line, answersPings) {
        const message = JSON.parse(line);
        if (Object.keys(message).length === 0) {
            this.pings += 1;
            if (answersPings) this.socket.send('{}');
            return;
        }
        const waiter = this.waiting.shift();
        if (waiter) waiter.resolve(message);
        else this.heard.push(message);
    }

    say(...commands) {
        this.socket.send(commands.map((command) => (typeof command === 'string' ? command : JSON.stringify(command))).join('\n'));
    }

    next() {
        if (this.heard.length > 0) return Promise.resolve(this.heard.shift());
        return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
    }

    // Says it and hears what comes next.
    ask(command) {
        const answer = this.next();
        this.say(command);
        return answer;
    }

    disconnect() {
        this.socket.terminate();
    }

    async close() {
        this.socket.close(1000);
        await this.closed;
    }
}

// What the promise of an emitter's next event of that name resolves to.
export const once = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));
