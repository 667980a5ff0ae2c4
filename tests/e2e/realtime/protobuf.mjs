// The Protobuf form, octet by octet where the published client would hide it.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import WebSocket from 'ws';

import { newProject } from '../api/expect.mjs';
import { endpoint, newCentrifuge, once, use } from './clients.mjs';

const varint = (number) => (number < 128 ? [number] : [(number & 127) | 128, ...varint(number >> 7)]);
const field = (number, octets) => [(number << 3) | 2, ...varint(octets.length), ...octets];
const text = (number, string) => field(number, [...Buffer.from(string)]);
const message = (octets) => Buffer.from([...varint(octets.length), ...octets]);
const connect = (token) => message([8, 1, ...field(4, text(1, token))]);

export function protobuf(shared) {
    const open = async () => {
        const socket = new WebSocket(endpoint(shared.stack), 'centrifuge-protobuf');
        await once(socket, 'open');
        return socket;
    };
    const closedBy = async (octets, { binary = true } = {}) => {
        const socket = await open();
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.send(octets, { binary });
        return closed;
    };
    const hear = (socket) => new Promise((resolve) => socket.once('message', (data, isBinary) => resolve({ data, isBinary })));

    describe('the Protobuf form', () => {
        test('test_subprotocol_when_both_are_offered_then_the_one_that_the_client_names_first', async () => {
            for (const protocols of [['centrifuge-protobuf', 'centrifuge-json'], ['centrifuge-json', 'centrifuge-protobuf']]) {
                const socket = new WebSocket(endpoint(shared.stack), protocols);
                await once(socket, 'open');
                assert.equal(socket.protocol, protocols[0]);
                socket.terminate();
            }
        });

        test('test_protobuf_when_fields_are_unknown_then_skipped_and_the_answer_is_binary', async () => {
            const socket = await open();
            socket.send(message([8, 1, ...field(4, [...text(1, shared.stack.token()), ...text(4, 'js'), ...text(14, '?')]), ...text(15, '')]));
            const { data, isBinary } = await hear(socket);
            assert.ok(isBinary);
            assert.equal(data[0] & 0x80 ? (data[0] & 127) | (data[1] << 7) : data[0], data.length - (data[0] & 0x80 ? 2 : 1));
            socket.terminate();
        });

        test('test_protobuf_when_malformed_then_3501', async () => {
            const cut = connect(shared.stack.token()).subarray(0, 20);
            for (const octets of [cut, Buffer.from([5]), Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), message([0xff]), message(field(4, [10, 2, 0xc3, 0x28])), message([8, 1])])
                assert.equal(await closedBy(octets), 3501, octets.toString('hex'));
        });

        test('test_protobuf_when_a_text_frame_comes_then_1003', async () => {
            assert.equal(await closedBy('{"id":1}', { binary: false }), 1003);
        });

        test('test_protobuf_when_the_data_of_an_rpc_is_no_json_then_it_alone_is_refused', async () => {
            const socket = await open();
            const answer = hear(socket);
            socket.send(connect(shared.stack.token()));
            await answer;
            const rpc = (id, data) => message([8, id, ...field(13, [...text(1, data), ...text(2, 'GET /v1/projects')])]);
            const heard = hear(socket);
            socket.send(Buffer.concat([rpc(2, '{"body":"\\ud800"}'), rpc(3, '{')]));
            const { data } = await heard;
            assert.deepEqual([...data.subarray(0, 8)], [19, 8, 2, 18, 15, 8, 107, 18]);
            assert.equal(data.length, 40);
            socket.terminate();
        });

        describe('beside JSON', () => {
            let clients, company;
            before(async () => {
                company = await shared.stack.addCompany('Both forms');
                clients = [];
                for (const name of ['json', 'protobuf', 'json', 'protobuf']) {
                    use(name);
                    clients.push(newCentrifuge(shared.stack, { token: shared.stack.token({ company }) }));
                }
            });

            test('test_event_when_clients_of_both_forms_listen_then_all_read_the_same', async () => {
                const heard = clients.map(() => []);
                for (const [i, client] of clients.entries()) {
                    const subscription = client.newSubscription(`company:${company}`);
                    subscription.on('publication', ({ offset, data }) => heard[i].push({ offset, data }));
                    subscription.subscribe();
                    client.connect();
                    await subscription.ready(5000);
                }
                for (let i = 0; i < 5; i++) await newProject(shared.stack.client({ company }), { name: `Brücke "${i}"\n`, description: 'x'.repeat(300 * i) });
                while (!heard.every(({ length }) => length === 5)) await new Promise((resolve) => { setTimeout(resolve, 10); });
                heard.forEach((events) => assert.deepEqual(events, heard[0]));
                clients.forEach((client) => client.disconnect());
            });
        });
    });
}
