// ./cortex up on machines that are not as tidy as ours: what a person does with it, in a checkout of its own.
import { after, before, describe } from 'node:test';

import { Checkout } from '../lib/checkout.mjs';
import settingsTests from './up/settings.mjs';
import shapesTests from './up/shapes.mjs';
import statusTests from './up/status.mjs';
import strangeTests from './up/strange.mjs';

describe('./cortex up', () => {
    const shared = {};
    before(() => (shared.checkout = new Checkout('up')));
    after(() => shared.checkout.stop());

    strangeTests(shared);
    statusTests(shared);
    settingsTests(shared);
    shapesTests(shared);
});
