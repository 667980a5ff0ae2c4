// Stands between clients and a gateway and cuts TCP connections: at once, or in the middle of what is on its way, so that frames and
// answers break at any octet.
import { connect, createServer } from 'node:net';

export class Cutter {
    static async open(target) {
        const cutter = new Cutter(target);
        await new Promise((resolve, reject) => cutter.server.once('error', reject).listen(0, '127.0.0.1', resolve));
        cutter.address = `127.0.0.1:${cutter.server.address().port}`;
        return cutter;
    }

    constructor(target) {
        const [host, port] = target.split(':');
        this.target = { host, port: Number(port) };
        this.pairs = new Set();
        this.cuts = 0;
        this.server = createServer((client) => this.#join(client));
    }

    #join(client) {
        const gateway = connect(this.target);
        const pair = { client, gateway, doomed: false };
        this.pairs.add(pair);
        const end = () => {
            this.pairs.delete(pair);
            client.destroy();
            gateway.destroy();
        };
        for (const [from, to] of [[client, gateway], [gateway, client]]) {
            from.on('error', end).on('close', end); // what `to` has not sent by then is cut off as well
            from.on('end', () => to.end());
            from.on('data', (bytes) => {
                if (pair.doomed && from === gateway) {
                    to.write(bytes.subarray(0, Math.floor(Math.random() * bytes.length)), end);
                    from.pause();
                } else if (!to.write(bytes)) {
                    from.pause();
                }
            });
            to.on('drain', () => from.resume());
        }
    }

    // Each of them with that probability.
    cut(share) {
        for (const pair of this.pairs) {
            if (pair.doomed || Math.random() >= share) continue;
            this.cuts += 1;
            pair.doomed = true;
            if (Math.random() < 0.5) pair.client.destroy(); // else with the next octets that come for it
        }
    }

    close() {
        this.server.close();
        for (const { client, gateway } of this.pairs) {
            client.destroy();
            gateway.destroy();
        }
    }
}
