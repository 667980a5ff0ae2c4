// The worker pool of the stack that is measured, stopped and started again with other settings.
import path from 'node:path';
import { run, stack } from './stack.mjs';

const library = path.join(stack.tree, 'deploy', 'local', 'lib', 'stack.sh');

// The stack's own servers, as ./cortex up finds them: not what the environment names for the measuring programs.
async function inStack(command, settings = {}) {
    const { CORTEX_AMQP_URL, CORTEX_DATABASE_URL, ...environment } = process.env;
    await run('bash', ['-euc', `. '${library}'; ${command}`], { env: { ...environment, CORTEX_STATE: stack.state, ...settings } });
}

export const stopPool = () => inStack('stop_process projects TERM 30');
export const startPool = (settings) => inStack('process_start projects release', settings);
