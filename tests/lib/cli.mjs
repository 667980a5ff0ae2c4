// ./cortex of a stack that a test has started, as an operator types it.
//
//     const cortex = new CommandLine(stack);
//     await cortex.run('dead', 'list');   // its standard output; fails when the command does
//     await cortex.try('dead', 'show');   // { status, stdout, stderr }
//     cortex.close();
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { root } from './servers.mjs';

export class CommandLine {
    // A folder with what `./cortex up` leaves for the other commands to find.
    constructor(stack) {
        this.state = mkdtempSync(join(tmpdir(), 'cortex-cli-'));
        mkdirSync(join(this.state, 'secrets'));
        copyFileSync(stack.keyFile, join(this.state, 'secrets', 'token_key'));
        writeFileSync(join(this.state, 'secrets', 'gateway.conf'), `CORTEX_LISTEN=${stack.address}\n`);
    }

    try(...args) {
        const env = { ...process.env, CORTEX_STATE: this.state, CORTEX_SERVICE_USER: process.env.USER ?? 'root' };
        return new Promise((resolve) => {
            execFile(join(root, 'cortex'), args, { env }, (error, stdout, stderr) => resolve({ status: error?.code ?? 0, stdout, stderr }));
        });
    }

    async run(...args) {
        const { status, stdout, stderr } = await this.try(...args);
        assert.equal(status, 0, stderr);
        return stdout;
    }

    // The entries of a list, which comes as a page of JSON a line.
    async list(...args) {
        return (await this.run(...args)).trim().split('\n').flatMap((line) => JSON.parse(line).data);
    }

    close() {
        rmSync(this.state, { recursive: true });
    }
}
