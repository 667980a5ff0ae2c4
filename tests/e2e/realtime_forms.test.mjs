// What holds for the published client on a WebSocket holds for its Protobuf build and for its fallbacks: the same tests.
import { after, before, describe } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { channels } from './realtime/channels.mjs';
import { closeAll, use } from './realtime/clients.mjs';
import { commands } from './realtime/commands.mjs';
import { connecting } from './realtime/connecting.mjs';
import { delivery } from './realtime/delivery.mjs';
import { fallbacks } from './realtime/fallbacks.mjs';
import { presence } from './realtime/presence.mjs';
import { protobuf } from './realtime/protobuf.mjs';
import { revocation } from './realtime/revocation.mjs';

const shared = { isRepeated: true, leewayMs: 4000 };
before(async () => {
    const gateway = {
        CORTEX_AUTH_LEEWAY_MS: String(shared.leewayMs),
        CORTEX_CORS_ORIGINS: 'https://app.example',
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
fallbacks(shared);
for (const kind of ['protobuf', 'http_stream', 'http_stream in Protobuf', 'sse'])
    describe(`with ${kind}`, () => {
        before(() => use(kind));
        for (const subject of [connecting, channels, commands, delivery, presence, revocation]) subject(shared);
    });
