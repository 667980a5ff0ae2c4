// Plays a service manager: opens a datagram socket for NOTIFY_SOCKET and keeps what is said on it, line by line. Node has no such sockets,
// Python does.
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { startChild } from './children.mjs';

const program = `
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print("listening", flush=True)
while True:
    print(listener.recv(4096).decode(), flush=True)
`;

export class Manager {
    static async open(name) {
        const manager = new Manager();
        manager.socket = join(tmpdir(), `cortex-${name}-${process.pid}.notify`);
        manager.said = []; // in order, as "READY=1"
        manager.child = startChild('/usr/bin/python3', ['-c', program, manager.socket], { stdio: ['ignore', 'pipe', 'inherit'] });
        const lines = createInterface({ input: manager.child.stdout });
        await new Promise((resolve, reject) => {
            lines.once('line', resolve);
            manager.child.once('error', reject);
            manager.child.once('exit', (code) => reject(new Error(`the service manager of the test ended with status ${code}`)));
        });
        lines.on('line', (line) => manager.said.push(line));
        return manager;
    }

    heard(text) {
        return this.said.filter((line) => line === text).length;
    }

    close() {
        this.child.kill();
        rmSync(this.socket, { force: true });
    }
}
