// CPU time per operation and part, from the runs of one row.
export const COLUMNS = ['gateway', 'worker', 'RabbitMQ', 'PostgreSQL', 'nginx', 'nchan', 'Node ws', 'Node API', 'Node worker', 'client', 'others'];

export function costs(what, runs, perSecond) {
    const micros = {};
    let operations = 0;
    let busy = 0;
    let wall = 0;
    let others = 0;
    for (const run of runs) {
        operations += perSecond(run) * run.cpu.wall;
        wall += run.cpu.wall;
        others += run.cpu.others;
        for (const [name, seconds] of Object.entries({ ...run.cpu.used, others: run.cpu.others })) {
            micros[name] = (micros[name] ?? 0) + seconds * 1e6;
            busy += seconds;
        }
    }
    for (const name of Object.keys(micros)) micros[name] /= operations;
    return { what, micros, cores: busy / wall, othersCores: others / wall };
}
