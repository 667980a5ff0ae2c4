// Real time as clients that others wrote see it: the published `centrifuge` client, `ws`, and bytes on a socket. One stack; a
// file of realtime/ for each subject.
import { after, before } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { channels } from './realtime/channels.mjs';
import { closeAll } from './realtime/clients.mjs';
import { commands } from './realtime/commands.mjs';
import { compression } from './realtime/compression.mjs';
import { connecting } from './realtime/connecting.mjs';
import { delivery } from './realtime/delivery.mjs';
import { frames } from './realtime/frames.mjs';
import { handshake } from './realtime/handshake.mjs';
import { leaving } from './realtime/leaving.mjs';
import { olderClient } from './realtime/older_client.mjs';
import { presence } from './realtime/presence.mjs';
import { recovery } from './realtime/recovery.mjs';
import { revocation } from './realtime/revocation.mjs';
import { slots } from './realtime/slots.mjs';
import { slowness } from './realtime/slowness.mjs';

const shared = { leewayMs: 2000 };
before(async () => {
    const gateway = {
        CORTEX_AUTH_LEEWAY_MS: String(shared.leewayMs),
        CORTEX_CORS_ORIGINS: 'https://app.example:443/, https://OTHER.example',
        CORTEX_PROXIES: '127.0.0.0/8 ::1',
        CORTEX_DRAIN_MS: '2000',
        CORTEX_HEAD_TIMEOUT_MS: '5000',
        CORTEX_MAX_OUTPUT: '256k',
        CORTEX_WS_CLOSE_MS: '60000', // a reader that has stalled reads why it was closed when the others have heard everything
        CORTEX_WS_DEFLATE: '1', // `ws` asks for it unless it is told not to
        CORTEX_WS_MAX_CHANNELS: '4',
        CORTEX_WS_MAX_MESSAGE: '4k',
        CORTEX_WS_PING_MS: '500',
        CORTEX_WS_PONG_MS: '8000',
    };
    shared.stack = await startStack('realtime', { gateway });
});
after(async () => {
    closeAll();
    await shared.stack?.stop();
});

// `leaving` ends gateways: it comes last.
for (const subject of [handshake, frames, connecting, channels, commands, delivery, presence, olderClient, recovery, revocation, compression, slots, slowness, leaving]) subject(shared);
