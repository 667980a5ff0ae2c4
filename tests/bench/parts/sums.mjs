// Update of a task in a project of 10,000 tasks against the same in one of 10. Its progress changes each time, and with it the sums of the
// project; the progress of the project stays as it is.
import { Agent } from 'node:http';
import { randomUUID } from 'node:crypto';

import { alternate, median, sql, stack } from '../stack.mjs';
import { client } from '../../lib/http.mjs';

const MANY = Number(process.env.BENCH_TASKS ?? 10_000);
const FEW = 10;

async function addProject(tasks) {
    const [project, actor] = [randomUUID(), randomUUID()];
    await sql(`INSERT INTO project (company_id, id, number, name) VALUES ('${stack.company}', '${project}', 'SUMS-${project}', 'Sums')`);
    await sql(`INSERT INTO task (company_id, id, project_id, title, creator_id, progress, estimated_hours)
        SELECT '${stack.company}', gen_random_uuid(), '${project}', 'Sums', '${actor}', 50, 100000 / ${tasks} FROM generate_series(1, ${tasks})`);
    await sql('ANALYZE project, task');
    const [task] = await sql(`SELECT id FROM task WHERE company_id = '${stack.company}' AND project_id = '${project}' LIMIT 1`);
    return `/v1/projects/${project}/tasks/${task}`;
}

// Milliseconds from the request to the answer, one at a time.
async function update(api, path) {
    const times = [];
    const end = performance.now() + stack.seconds * 1000;
    for (let n = 0; performance.now() < end; n++) {
        const begun = performance.now();
        const { status, text } = await api.patch(path, { progress: 50 + (n % 2) });
        if (status !== 200) throw new Error(`PATCH ${path}: ${status} ${text}`);
        times.push(performance.now() - begun);
    }
    return median(times);
}

export async function measure() {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const api = client(stack.url, process.env.CORTEX_TOKEN, agent);
    const [many, few] = [await addProject(MANY), await addProject(FEW)];
    await update(api, many); // caches, plans
    const { ours, theirs } = await alternate(() => update(api, many), () => update(api, few));
    agent.destroy();
    const what = `task update in ${MANY.toLocaleString('en')} tasks`;
    return { rows: [{ what, unit: ' ms', against: `in ${FEW}`, ours: median(ours), theirs: median(theirs), goal: { ratio: 1.2, atLeast: false } }], costs: [] };
}
