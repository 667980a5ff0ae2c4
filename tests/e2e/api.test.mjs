// The REST API as a client that has never heard of queues expects it. One stack; a file of api/ for each subject.
import { after, before } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { asynchronous } from './api/asynchronous.mjs';
import { crud } from './api/crud.mjs';
import { idempotency } from './api/idempotency.mjs';
import { lists } from './api/lists.mjs';
import { money } from './api/money.mjs';
import { reads } from './api/reads.mjs';
import { references } from './api/references.mjs';
import { resources } from './api/resources.mjs';
import { semantics } from './api/semantics.mjs';
import { tenants } from './api/tenants.mjs';
import { tokens } from './api/tokens.mjs';

const shared = {};
before(async () => Object.assign(shared, { stack: await startStack('api', { pools: ['webhooks'] }) }));
after(() => shared.stack?.stop());

for (const subject of [crud, resources, idempotency, asynchronous, money, reads, references, lists, semantics, tenants, tokens]) subject(shared);
