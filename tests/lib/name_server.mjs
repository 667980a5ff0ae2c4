// A name server of our own: it says what a test wants, as often and as late as the test wants.
//
//     const names = await NameServer.open((name, family, nth) => ['127.0.0.1']);   // nth: of this name and family, from 1
//     settings: { …: names.address }
//
// What the function returns: addresses of the family; [] (the name has none); null (there is no such name); NEVER (no answer);
// { addresses, afterMs }: late.
import { createSocket } from 'node:dgram';
import { isIPv4, isIPv6 } from 'node:net';

export const NEVER = Symbol('never');
const TYPES = { 1: 4, 28: 6 }; // A, AAAA
const RECURSION = 0x0100, ANSWER = 0x8180, NO_SUCH_NAME = 3;

// 16 octets of an address of IPv6.
function octetsOf6(address) {
    const [head, tail] = address.split('::').map((side) => (side ? side.split(':').map((part) => parseInt(part, 16)) : []));
    const words = tail ? [...head, ...Array(8 - head.length - tail.length).fill(0), ...tail] : head;
    return Buffer.from(words.flatMap((word) => [word >> 8, word & 255]));
}

const octetsOf = (address) => (isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : octetsOf6(address));

function readQuestion(message) {
    const labels = [];
    let at = 12;
    for (; message[at] > 0; at += message[at] + 1) labels.push(message.toString('latin1', at + 1, at + 1 + message[at]));
    return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), octets: message.subarray(12, at + 5) };
}

function answerTo(message, { type, octets }, addresses) {
    const head = Buffer.alloc(12);
    message.copy(head, 0, 0, 2);
    head.writeUInt16BE((ANSWER | (message.readUInt16BE(2) & RECURSION)) + (addresses === null ? NO_SUCH_NAME : 0), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(addresses?.length ?? 0, 6);
    const records = (addresses ?? []).map((address) => {
        const data = octetsOf(address), record = Buffer.alloc(12);
        record.writeUInt16BE(0xc00c, 0); // the name of the question
        record.writeUInt16BE(type, 2);
        record.writeUInt16BE(1, 4);
        record.writeUInt16BE(data.length, 10); // and it may be kept for 0 s
        return Buffer.concat([record, data]);
    });
    return Buffer.concat([head, octets, ...records]);
}

export class NameServer {
    static async open(says) {
        const server = new NameServer(says);
        await new Promise((resolve) => server.socket.bind(0, '127.0.0.1', resolve));
        server.address = `127.0.0.1:${server.socket.address().port}`;
        return server;
    }

    constructor(says) {
        this.says = says;
        this.isOpen = true;
        this.asked = new Map(); // 'name family' → how often
        this.socket = createSocket('udp4');
        this.socket.on('message', (message, from) => this.#on(message, from));
    }

    #on(message, from) {
        const question = readQuestion(message), family = TYPES[question.type];
        const key = `${question.name} ${family}`, nth = (this.asked.get(key) ?? 0) + 1;
        this.asked.set(key, nth);
        const said = family ? this.says(question.name, family, nth) : [];
        if (said === NEVER) return;
        const { addresses, afterMs } = said?.addresses ? said : { addresses: said, afterMs: 0 };
        const of = addresses && addresses.filter((one) => (family === 4 ? isIPv4(one) : isIPv6(one)));
        setTimeout(() => this.isOpen && this.socket.send(answerTo(message, question, of), from.port, from.address, () => {}), afterMs);
    }

    // How often the addresses of the name were asked for.
    count(name) {
        return this.asked.get(`${name} 4`) ?? 0;
    }

    close() {
        this.isOpen = false; // for the answers that are late
        this.socket.close();
    }
}
