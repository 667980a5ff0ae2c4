// A cluster of private RabbitMQ nodes on the loopback (deploy/local/lib/cluster.sh): `machine` is the RabbitMQ of this machine, `debian13`
// that of Debian 13, from a root that is made once.
//
//     const cluster = await startCluster('debian13', 3);
//     await cluster.vhost('mine'); const url = await cluster.url('mine');
//     if (cluster.missing) …  // why this machine cannot have it: it takes root, and a mirror of Debian
//     await cluster.kill(2); await cluster.up(2); await cluster.remove();
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { root, state } from './servers.mjs';

const script = join(root, 'tests', 'lib', 'cluster.sh');
const MISSING = 77; // DEBIAN13_MISSING
const environment = { ...process.env, CORTEX_STATE: state };

export async function startCluster(version, nodes) {
    const cluster = new Cluster(version);
    process.on('exit', () => spawnSync('bash', [script, version, 'remove'], { env: environment }));
    try {
        await cluster.run('start', String(nodes));
    } catch (error) {
        if (error.status !== MISSING) throw error;
        cluster.missing = error.message;
    }
    return cluster;
}

class Cluster {
    constructor(version) {
        this.version = version;
    }

    // cluster.sh VERSION ARGUMENTS… → its standard output
    run(...args) {
        return new Promise((resolve, reject) => {
            execFile('bash', [script, this.version, ...args], { env: environment, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
                if (error) reject(Object.assign(new Error(`cluster.sh ${this.version} ${args.join(' ')}: ${stderr || error.message}`), { status: error.code }));
                else resolve(stdout);
            });
        });
    }

    vhost(name) {
        return this.run('vhost', name);
    }

    // Of all nodes, separated by commas.
    async url(vhost) {
        return (await this.run('url', vhost)).trim();
    }

    kill(node) {
        return this.run('kill', String(node));
    }

    // Starts a node that was killed or stopped, or a new one, which joins the others.
    up(node) {
        return this.run('up', String(node));
    }

    // rabbitmqctl of that node
    ctl(node, ...args) {
        return this.run('ctl', String(node), ...args);
    }

    // Every replicated queue gets a member on each node.
    grow() {
        return this.run('grow');
    }

    remove() {
        return this.run('remove');
    }
}
