// Work that has a time: commands sent for later, and schedules. One stack; a file of schedules/ for each subject.
import { after, before } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { admin } from './schedules/admin.mjs';
import { cli } from './schedules/cli.mjs';
import { delayed } from './schedules/delayed.mjs';

const shared = {};
before(async () => Object.assign(shared, { stack: await startStack('schedules') }));
after(() => shared.stack?.stop());

for (const subject of [delayed, admin, cli]) subject(shared);
