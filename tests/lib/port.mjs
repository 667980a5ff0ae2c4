// A port for a server of a test.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the range from which the kernel gives ports to connections, so that nobody takes it while its server is down.
export async function freePort() {
    for (;;) {
        const port = randomInt(20000, 32000);
        if (await isFree(port)) return port;
    }
}

function isFree(port) {
    return new Promise((resolve) => {
        const probe = createServer();
        probe.on('error', () => resolve(false));
        probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
}
