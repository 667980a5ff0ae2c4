// The machine that everything is measured on, in one line.
import { closeSync, fdatasyncSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';

// `folder`: on the disk that the servers write to.
export function facts(folder) {
    const os = /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
    const load = readFileSync('/proc/loadavg', 'latin1').split(' ')[0];
    const memory = Math.round(totalmem() / 2 ** 30);
    return `${cpus().length} × ${cpus()[0].model.trim()}, ${memory} GB, ${os}, ${syncsPerSecond(folder)} fdatasync/s, load ${load}`;
}

// What one commit at a time can reach on this disk: 8 KB and fdatasync, for half a second.
function syncsPerSecond(folder) {
    const file = path.join(folder, 'sync');
    const fd = openSync(file, 'w');
    const block = Buffer.alloc(8192);
    const begin = performance.now();
    let count = 0;
    for (; performance.now() - begin < 500; count++) {
        writeSync(fd, block, 0, block.length, 0);
        fdatasyncSync(fd);
    }
    closeSync(fd);
    unlinkSync(file);
    return count * 2;
}
