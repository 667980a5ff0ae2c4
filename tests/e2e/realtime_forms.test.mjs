// What holds for the published client holds for its Protobuf build: the same tests.
import { after, before, describe } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { channels } from './realtime/channels.mjs';
import { closeAll, use } from './realtime/clients.mjs';
import { commands } from './realtime/commands.mjs';
import { connecting } from './realtime/connecting.mjs';
import { delivery } from './realtime/delivery.mjs';
import { presence } from './realtime/presence.mjs';
import { protobuf } from './realtime/protobuf.mjs';
import { revocation } from './realtime/revocation.mjs';

const shared = { isRepeated: true };
before(async () => {
    const gateway = {
        CORTEX_AUTH_LEEWAY_MS: '2000',
        CORTEX_HEAD_TIMEOUT_MS: '5000',
        CORTEX_WS_DEFLATE: '1',
        CORTEX_WS_MAX_CHANNELS: '4',
        CORTEX_WS_PING_MS: '500',
        CORTEX_WS_PONG_MS: '8000',
    };
    shared.stack = await startStack('realtime_forms', { gateway });
});
after(async () => {
    closeAll();
    await shared.stack?.stop();
});

protobuf(shared);
describe('with the Protobuf build', () => {
    before(() => use('protobuf'));
    for (const subject of [connecting, channels, commands, delivery, presence, revocation]) subject(shared);
});
