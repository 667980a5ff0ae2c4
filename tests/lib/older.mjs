// The programs of an older commit, for tests of upgrades: built beside this tree, once, under .cortex/older/.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { root } from './servers.mjs';

const run = promisify(execFile);
const git = (...args) => run('git', ['-C', root, ...args]);

// Whether this repository has the commit; a shallow clone may not.
export function hasCommit(commit) {
    return git('cat-file', '-e', `${commit}^{commit}`).then(() => true, () => false);
}

// The folder with gateway/cortex-gateway and workers/cortex-worker of that commit.
export async function buildOf(commit) {
    const tree = join(root, '.cortex', 'older', commit.slice(0, 12));
    const build = join(tree, 'build', 'release');
    if (!existsSync(tree)) {
        mkdirSync(join(root, '.cortex', 'older'), { recursive: true });
        await run('git', ['clone', '--quiet', '--shared', '--no-checkout', root, tree]);
    }
    await run('git', ['-C', tree, 'checkout', '--quiet', '--detach', commit]);
    await run('cmake', ['--preset', 'release'], { cwd: tree });
    await run('cmake', ['--build', build, '--target', 'cortex-gateway', 'cortex-worker'], { maxBuffer: 1 << 26 });
    return build;
}
