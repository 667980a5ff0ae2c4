// Faults as they happen in production, each produced for real and under load. After each of them nothing that was accepted is lost, nothing
// is done twice and each company's commands are in order; the test prints how long it takes until work goes on. One stack, whose processes
// reach the broker through proxies; a file of faults/ for each subject.
//
// Elsewhere: restarts of the servers and the memory alarm (e2e/broker_faults), a full queue (e2e/queue_full), workers that come and go
// (partitions).
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';

import { Proxy } from '../lib/proxy.mjs';
import { broker, ensureServers } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';
import { WallClock, clock } from './faults/clock.mjs';
import { database } from './faults/database.mjs';
import { processes } from './faults/processes.mjs';
import { wire } from './faults/wire.mjs';

const shared = { settings: join(tmpdir(), `cortex-faults-${process.pid}.conf`), proxies: {}, clock: new WallClock() };
before(async () => {
    await ensureServers();
    const through = async (who, user) => {
        const url = new URL(await broker.url(`faults_${process.pid}`, user));
        shared.proxies[who] = new Proxy(Number(url.port));
        await shared.proxies[who].start();
        url.port = shared.proxies[who].port;
        return url.href;
    };
    writeFileSync(shared.settings, 'CORTEX_WORKER_PROCESSES=2\n');
    shared.stack = await startStack('faults', {
        gateway: { ...shared.clock.settings, CORTEX_AMQP_URL: await through('gateway', 'cortex_gateway') },
        worker: {
            ...shared.clock.settings,
            CORTEX_AMQP_URL: await through('worker', 'cortex_projects'),
            CORTEX_CONFIG: shared.settings,
            CORTEX_STATEMENT_TIMEOUT_MS: '1500',
        },
    });
});
after(async () => {
    await shared.stack?.stop();
    Object.values(shared.proxies).forEach((proxy) => proxy.stop());
    rmSync(shared.settings, { force: true });
    shared.clock.remove();
});

for (const subject of [processes, wire, database, clock]) subject(shared);
