// A private nginx that serves one small file at /healthz.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { run, stack } from './stack.mjs';

// As fast as nginx is for this: no log, no temporary files, connections for ever; with and without its cache of open files.
function configuration(folder, port, processes, cache) {
    return `
worker_processes ${processes};
daemon on;
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

async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

export async function startNginx(processes, cache, body) {
    const folder = path.join(stack.state, cache ? 'nginx-cache' : 'nginx');
    mkdirSync(path.join(folder, 'www'), { recursive: true });
    writeFileSync(path.join(folder, 'www', 'healthz'), body);
    const port = await freePort();
    writeFileSync(path.join(folder, 'nginx.conf'), configuration(folder, port, processes, cache));
    const args = ['-p', folder, '-c', path.join(folder, 'nginx.conf'), '-e', path.join(folder, 'error.log')];
    await run('nginx', args);
    return {
        url: `http://127.0.0.1:${port}/healthz`,
        pid: () => Number(readFileSync(path.join(folder, 'pid'), 'latin1')),
        stop: () => run('nginx', [...args, '-s', 'stop']),
    };
}
