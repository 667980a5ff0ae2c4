// What has happened, as Server-Sent Events and as pages: the published `eventsource` client, curl, and the bytes themselves.
import { after, before } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { closeAll } from './streams/clients.mjs';
import { events } from './streams/events.mjs';
import { pages } from './streams/pages.mjs';
import { tickets } from './streams/tickets.mjs';

const shared = {};
before(async () => {
    const gateway = {
        CORTEX_AUTH_LEEWAY_MS: '1000',
        CORTEX_DRAIN_MS: '2000',
        CORTEX_LOG_LEVEL: 'debug',
        CORTEX_MAX_OUTPUT: '256k',
        CORTEX_SSE_HEARTBEAT_MS: '300',
        CORTEX_WS_MAX_CHANNELS: '4',
    };
    shared.stack = await startStack('streams', { gateway });
});
after(async () => {
    closeAll();
    await shared.stack?.stop();
});

// `events` ends gateways: it comes last.
for (const subject of [pages, tickets, events]) subject(shared);
