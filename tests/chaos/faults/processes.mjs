// The processes of a pool die, leave, and read their settings again.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { until } from '../../lib/process.mjs';
import { logged, ordeal } from './ordeal.mjs';

const POOL = '/v1/admin/pools/projects';

function children(pid) {
    return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).map(Number).filter((child) => {
        try {
            return Number(readFileSync(`/proc/${child}/stat`, 'latin1').split(') ').pop().split(' ')[1]) === pid;
        } catch {
            return false; // gone in between
        }
    });
}

const isAlive = (pid) => {
    try {
        return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
    } catch {
        return false;
    }
};

export function processes(shared) {
    const view = async () => (await shared.stack.client({ role: 'super_admin' }).get(POOL)).body;
    const workersOf = (pool) => pool.managers.flatMap(({ workers }) => workers);
    const ready = (count) => until(async () => {
        const pool = await view();
        const found = workersOf(pool).filter(({ state, partitions }) => state === 'ready' && partitions?.length > 0);
        return pool.wanted === count && found.length === count && workersOf(pool).length === count && pool;
    }, 30_000, `${count} workers that hold partitions`);

    describe('processes', () => {
        test('test_worker_when_killed_then_the_others_take_over_and_it_is_replaced', async (t) => {
            const [{ pid }] = workersOf(await ready(2));
            await ordeal(shared, t, 'kill -9 of a worker', () => process.kill(pid, 'SIGKILL'));
            assert.ok(!workersOf(await ready(2)).some((worker) => worker.pid === pid));
        });

        test('test_manager_when_killed_then_its_workers_go_on_and_the_next_one_knows_the_size', async (t) => {
            const before = await ready(2);
            const workers = workersOf(before).map(({ pid }) => pid).sort();
            const parent = shared.stack.worker.child.pid;
            const [manager] = children(parent).filter((pid) => !workers.includes(pid));
            await ordeal(shared, t, 'kill -9 of the manager', () => process.kill(manager, 'SIGKILL'));
            const after = await ready(2);
            assert.deepEqual(workersOf(after).map(({ pid }) => pid).sort(), workers);
            assert.equal(after.managers.length, 1);
            assert.ok(!isAlive(manager));
        });

        test('test_parent_when_killed_then_its_processes_leave_and_a_new_one_takes_over', async (t) => {
            const { worker } = shared.stack;
            await ready(2);
            const family = children(worker.child.pid);
            assert.equal(family.length, 3);
            await ordeal(shared, t, 'kill -9 of the parent, and another one started', async () => {
                process.kill(worker.child.pid, 'SIGKILL');
                await worker.ended;
                await worker.start();
            });
            await until(() => !family.some(isAlive), 30_000, 'the orphans to be gone');
            await ready(2);
        });

        test('test_pool_when_told_to_leave_then_it_drains_and_the_next_one_goes_on', async (t) => {
            const { worker } = shared.stack;
            await ordeal(shared, t, 'SIGTERM, and another one started', () => worker.restart());
            assert.equal(logged(worker, /"event":"worker.drain_incomplete"/g), 0);
        });

        test('test_settings_when_read_again_then_in_force_and_wrong_ones_refused', async (t) => {
            const { worker } = shared.stack;
            const before = workersOf(await ready(2)).map(({ pid }) => pid);
            const debug = () => logged(worker, /"level":"debug"/g), reloaded = () => logged(worker, /"event":"pool.reloaded"/g);
            assert.equal(debug(), 0);
            const done = reloaded() + 1;
            writeFileSync(shared.settings, 'CORTEX_LOG_LEVEL=debug\nCORTEX_WORKER_PROCESSES=3\n');
            await ordeal(shared, t, 'SIGHUP', async () => {
                process.kill(worker.child.pid, 'SIGHUP');
                await until(() => reloaded() === done, 60_000, 'the settings to be in force');
            });
            assert.ok(!workersOf(await ready(3)).some(({ pid }) => before.includes(pid)), 'every worker is new');
            assert.ok(debug() > 0);
            const now = workersOf(await view()).map(({ pid }) => pid).sort();
            writeFileSync(shared.settings, 'CORTEX_WORKER_PROCESSES=many\n');
            process.kill(worker.child.pid, 'SIGHUP');
            await until(() => logged(worker, /"event":"pool.settings_refused"/g) === 1, 30_000, 'the refusal');
            assert.deepEqual(workersOf(await ready(3)).map(({ pid }) => pid).sort(), now);
            writeFileSync(shared.settings, 'CORTEX_WORKER_PROCESSES=2\n');
            process.kill(worker.child.pid, 'SIGHUP');
            await until(() => reloaded() === done + 1, 60_000, 'the settings to be in force');
            await ready(2);
        });
    });
}
