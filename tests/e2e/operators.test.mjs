// What operators do over /v1/admin. One stack; a file of operators/ for each subject.
import { after, before } from 'node:test';

import { startStack } from '../lib/stack.mjs';
import { access } from './operators/access.mjs';
import { deadLetters } from './operators/dead_letters.mjs';

const shared = {};
before(async () => Object.assign(shared, { stack: await startStack('operators') }));
after(() => shared.stack?.stop());

for (const subject of [access, deadLetters]) subject(shared);
