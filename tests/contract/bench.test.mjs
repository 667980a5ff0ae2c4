// What ./cortex bench --against says of two commits, from the figures of their rounds; and how it refuses what it cannot measure.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { rowsOf, verdict } from '../bench/compare.mjs';
import { root } from '../lib/servers.mjs';

const rate = (ours, theirs) => verdict({ isMoreBetter: true, ours, theirs });
const time = (ours, theirs) => verdict({ isMoreBetter: false, ours, theirs });

const bench = (...args) => new Promise((resolve) => {
    execFile(join(root, 'cortex'), ['bench', ...args], (error, stdout, stderr) => resolve({ code: error?.code ?? 0, said: stderr.trim() }));
});

describe('bench --against', () => {
    test('test_figures_when_they_are_as_good_then_not_worse', () => {
        assert.deepEqual(rate([100, 150, 50], [100, 150, 50]), { ratio: 1, spread: 0.5, isWorse: false });
        assert.equal(rate([96, 96, 96], [100, 100, 100]).isWorse, false);
        assert.equal(time([8, 8, 8], [10, 10, 10]).ratio, 1.25);
    });

    test('test_figures_when_they_are_below_the_bound_and_beyond_the_spread_then_worse', () => {
        assert.equal(rate([90, 91, 92], [100, 101, 99]).isWorse, true);
        assert.equal(time([12, 12, 12], [10, 10, 10]).isWorse, true);
    });

    test('test_figures_when_the_other_commit_differs_as_much_from_itself_then_not_worse', () => {
        assert.equal(rate([90, 90, 90], [100, 85, 100]).isWorse, false);
    });

    test('test_runs_when_they_alternate_then_each_row_has_the_rounds_of_both', () => {
        const run = (side, value) => ({ side, figures: [{ part: 'read', what: 'GET', unit: '/s', isMoreBetter: true, value }] });
        assert.deepEqual(rowsOf([run('ours', 1), run('theirs', 2), run('ours', 3), run('theirs', 4)]),
            [{ part: 'read', what: 'GET', unit: '/s', isMoreBetter: true, ours: [1, 3], theirs: [2, 4] }]);
    });

    test('test_bench_when_the_commit_is_unknown_then_it_says_so_in_one_sentence', async () => {
        const { code, said } = await bench('--against', 'no-such-commit');
        assert.equal(code, 1);
        assert.match(said, /^cortex: there is no commit no-such-commit in this repository; [^\n]*$/);
    });

    test('test_bench_when_no_commit_is_given_then_it_says_so_in_one_sentence', async () => {
        const { code, said } = await bench('--against');
        assert.equal(code, 1);
        assert.match(said, /^cortex: --against needs a commit: [^\n]*$/);
    });
});
