// What operators do over /v1/admin. One stack; a file of operators/ for each subject.
import { after, before } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { access } from './operators/access.mjs';
import { autoscaling } from './operators/autoscaling.mjs';
import { cli } from './operators/cli.mjs';
import { deadLetters } from './operators/dead_letters.mjs';
import { pools } from './operators/pools.mjs';
import { replay } from './operators/replay.mjs';
import { waiting } from './operators/waiting.mjs';

const shared = { adminWaitMs: 4000, adminPendingMax: 2 }; // the latter in each of two processes
before(async () => {
    const gateway = { CORTEX_ADMIN_WAIT_MS: `${shared.adminWaitMs}`, CORTEX_ADMIN_PENDING_MAX: `${shared.adminPendingMax}` };
    const worker = { CORTEX_AUTOSCALE_DEPTH: '50', CORTEX_AUTOSCALE_HURRY_MS: '1000', CORTEX_AUTOSCALE_CALM_MS: '3000', CORTEX_RETRY_FIRST_MS: '60000' };
    shared.stack = await startStack('operators', { gateway, worker });
});
after(() => shared.stack?.stop());

for (const subject of [access, deadLetters, cli, replay, waiting, pools, autoscaling]) subject(shared);
