// Programs that a test or a measurement starts. None outlives it, however it ends: each is killed with whatever it has started itself.
//
//     const child = startChild('nginx', ['-g', 'daemon off;'], { stdio: ['ignore', 'pipe', 'inherit'] });   // as spawn has them
import { spawn } from 'node:child_process';

const children = new Set();

// A group of its own: signals reach its children, too.
export function signalChild(child, name) {
    try {
        process.kill(-child.pid, name);
    } catch (error) {
        if (error.code !== 'ESRCH') throw error;
    }
}

export function startChild(command, args, options = {}) {
    const child = spawn(command, args, { ...options, detached: true });
    if (child.pid === undefined) return child; // its event `error` says why
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
}

process.on('exit', () => children.forEach((child) => signalChild(child, 'SIGKILL')));
for (const [name, number] of [['SIGHUP', 1], ['SIGINT', 2], ['SIGTERM', 15]]) process.once(name, () => process.exit(128 + number));
