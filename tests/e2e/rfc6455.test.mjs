// RFC 6455 as the published cases of the Autobahn suite describe it, numbered after them so that a reader can compare, with the frames of
// the published `ws` and of Debian's python3-websockets and python3-autobahn. Where the suite's peer echoes, ours answers a command of the Centrifuge
// protocol, which proves as well that the message arrived whole. Binary messages (1.2, 9.2, 9.4, 9.6, 9.8) are refused with 1003, which
// 5.6 and 7.4.1 allow; 12 and 13 are about compression.
import { after, before } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { closing } from './rfc6455/closing.mjs';
import { fragments } from './rfc6455/fragments.mjs';
import { framing } from './rfc6455/framing.mjs';
import { limits } from './rfc6455/limits.mjs';
import { others } from './rfc6455/others.mjs';
import { utf8 } from './rfc6455/utf8.mjs';

const shared = {};
before(async () => {
    shared.stack = await startStack('rfc6455', {
        gateway: {
            CORTEX_GATEWAY_PROCESSES: '1', CORTEX_WS_MAX_MESSAGE: '1m', CORTEX_WS_MAX_CONNECT: '1m', // these messages come before any connect
            CORTEX_WS_CLOSE_MS: '2000',
        },
    });
});
after(() => shared.stack?.stop());

for (const group of [framing, fragments, utf8, closing, limits, others]) group(shared);
