// /healthz against nginx serving a small static file: the same wrk, the same number of processes.
import { costs } from '../costs.mjs';
import { startNginx } from '../nginx.mjs';
import { family } from '../processes.mjs';
import { alternate, measured, median, partPid, stack } from '../stack.mjs';

const CONNECTIONS = 64;

async function wrk(url, others = {}) {
    const { output, cpu } = await measured('wrk', ['--threads', '1', '--connections', `${CONNECTIONS}`, '--latency'], {
        others,
        timed: (warmup, seconds) => ['--duration', `${warmup + seconds}s`, url],
    });
    if (/Non-2xx|Socket errors/.test(output)) throw new Error(`wrk at ${url}: ${output}`);
    return { per_second: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)[1]), cpu };
}

const rate = (runs) => median(runs.map((r) => r.per_second));

export async function measure() {
    const processes = Math.max(1, family(partPid('gateway')).length - 1);
    const body = await (await fetch(`${stack.url}/healthz`)).text();
    const plain = await startNginx(processes, false, body);
    const cached = await startNginx(processes, true, body);
    try {
        const againstPlain = await alternate(() => wrk(`${stack.url}/healthz`), () => wrk(plain.url, { nginx: plain.pid() }));
        const againstCached = await alternate(() => wrk(`${stack.url}/healthz`), () => wrk(cached.url, { nginx: cached.pid() }));
        const cacheHelps = rate(againstCached.theirs) > rate(againstPlain.theirs);
        const { ours, theirs } = cacheHelps ? againstCached : againstPlain;
        return {
            rows: [
                {
                    what: `GET /healthz, ${CONNECTIONS} connections`,
                    ours: rate(ours),
                    theirs: rate(theirs),
                    unit: '/s',
                    against: `nginx, small file, open_file_cache ${cacheHelps ? 'on (the faster)' : 'off (the faster)'}`,
                    goal: { ratio: 1, atLeast: true },
                },
            ],
            costs: [
                costs('GET /healthz', [...againstPlain.ours, ...againstCached.ours], (r) => r.per_second),
                costs('  nginx, cache off', againstPlain.theirs, (r) => r.per_second),
                costs('  nginx, cache on', againstCached.theirs, (r) => r.per_second),
            ],
        };
    } finally {
        await plain.stop();
        await cached.stop();
    }
}
