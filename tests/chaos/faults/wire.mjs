// Connections to the broker break in the middle of a frame, on either side and in either direction.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';
import { ordeal } from './ordeal.mjs';

export function wire(shared) {
    describe('connections cut inside a frame', () => {
        for (const who of ['gateway', 'worker'])
            for (const direction of ['toServer', 'toClient'])
                test(`test_connections_of_the_${who}_when_cut_inside_a_frame_${direction}_then_nothing_is_lost_or_doubled`, async (t) => {
                    const proxy = shared.proxies[who];
                    const before = proxy.cuts;
                    await ordeal(shared, t, `${who}, ${direction}`, async () => {
                        const open = proxy.arm(direction);
                        assert.ok(open >= 2);
                        await until(() => proxy.cuts >= before + 2, 30_000, 'two cuts');
                    });
                    t.diagnostic(`${proxy.cuts - before} connections cut`);
                });
    });
}
