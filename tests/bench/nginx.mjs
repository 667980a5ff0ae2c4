// A private nginx: one that serves a small file at /healthz, and one with nchan that fans out to WebSockets.
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';

import { startChild } from '../lib/children.mjs';
import { freePort } from '../lib/port.mjs';
import { pause, stack } from './stack.mjs';

const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';

// As fast as nginx is for this: no log, no temporary files, connections for ever; with and without its cache of open files.
function configuration(folder, port, processes, cache) {
    return `
worker_processes ${processes};
daemon off;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 4096; multi_accept on; }
http {
  access_log off;
  sendfile on;
  tcp_nodelay on;
  tcp_nopush off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  etag off;
  default_type application/json;
  ${cache ? 'open_file_cache max=16 inactive=600s; open_file_cache_valid 600s;' : 'open_file_cache off;'}
  client_body_temp_path ${folder}/tmp;
  proxy_temp_path ${folder}/tmp;
  fastcgi_temp_path ${folder}/tmp;
  uwsgi_temp_path ${folder}/tmp;
  scgi_temp_path ${folder}/tmp;
  server { listen 127.0.0.1:${port} reuseport; root ${folder}/www; }
}
`;
}

// As nchan's own documentation has it for speed: as many workers as ours, messages in memory, a short history.
function nchanConfiguration(folder, port, processes) {
    return `
load_module ${NCHAN};
worker_processes ${processes};
worker_rlimit_nofile 20000;
daemon off;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 15000; multi_accept on; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_buffer_size 64k;
  client_body_temp_path ${folder}/tmp;
  proxy_temp_path ${folder}/tmp;
  fastcgi_temp_path ${folder}/tmp;
  uwsgi_temp_path ${folder}/tmp;
  scgi_temp_path ${folder}/tmp;
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${port} reuseport backlog=4096;
    location ~ ^/sub/(.+)$ { nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest; }
    location ~ ^/pub/(.+)$ { nchan_publisher http; nchan_channel_id $1; nchan_message_buffer_length 100; nchan_message_timeout 60s; }
  }
}
`;
}

// Each in a folder of its own, so that none meets the files of one before it. It is told to end, and has ended, before stop returns.
async function start(name, port, configuration) {
    const folder = path.join(stack.state, `${name}-${port}`);
    mkdirSync(path.join(folder, 'www'), { recursive: true });
    writeFileSync(path.join(folder, 'nginx.conf'), configuration(folder));
    const nginx = startChild('nginx', ['-p', folder, '-c', path.join(folder, 'nginx.conf'), '-e', path.join(folder, 'error.log')],
        { stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = new Promise((resolve, reject) => nginx.once('error', reject).once('exit', resolve));
    const early = ended.then((code) => Promise.reject(new Error(`${name} ended with status ${code}; see ${folder}/error.log`)));
    early.catch(() => {}); // after the start it may end
    await Promise.race([listens(port), early]);
    return {
        url: `http://127.0.0.1:${port}`,
        pid: () => nginx.pid,
        stop: async () => {
            nginx.kill('SIGTERM');
            await ended;
        },
    };
}

async function listens(port) {
    for (;;) {
        const socket = connect(port, '127.0.0.1');
        const is = await new Promise((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)));
        socket.destroy();
        if (is) return;
        await pause(0.05);
    }
}

export async function startNginx(processes, cache, body) {
    const port = await freePort();
    const name = cache ? 'nginx-cache' : 'nginx';
    const nginx = await start(name, port, (folder) => {
        writeFileSync(path.join(folder, 'www', 'healthz'), body);
        return configuration(folder, port, processes, cache);
    });
    return { ...nginx, url: `${nginx.url}/healthz` };
}

export async function startNchan(processes) {
    const port = await freePort();
    return start('nchan', port, (folder) => nchanConfiguration(folder, port, processes));
}
